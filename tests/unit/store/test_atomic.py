"""Files are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from maestro.errors import StateError
from maestro.proc.family import start_time
from maestro.store.atomic import write_atomically, writer_of


def test_new_file_in_a_new_folder(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "c.json"
    write_atomically(target, b"one")
    assert target.read_bytes() == b"one"
    assert [one.name for one in target.parent.iterdir()] == ["c.json"]


def test_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "f", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@pytest.mark.parametrize("bits", [0o600, 0o644, 0o755])
def test_mode_of_the_replaced_file_is_kept(tmp_path: Path, bits: int) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")
    target.chmod(bits)
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == bits


def test_given_mode_wins(tmp_path: Path) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")
    write_atomically(target, b"new", mode=0o600)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_symlink_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.json"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link = tmp_path / "link.json"
    link.symlink_to("elsewhere/real.json")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_a_link_to_nothing_yet_and_a_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "real" / "link").symlink_to("new/file")
    write_atomically(tmp_path / "folder" / "link", b"one")
    write_atomically(tmp_path / "folder" / ".." / "plain", b"two")
    assert (tmp_path / "folder" / "link").is_symlink()
    assert (tmp_path / "real" / "new" / "file").read_bytes() == b"one"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "plain", "real"]


def test_a_path_from_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomically(Path("f"), b"one")
    write_atomically(Path("new/f"), b"two")
    assert ((tmp_path / "f").read_bytes(), (tmp_path / "new" / "f").read_bytes()) == (b"one", b"two")


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "os.fchmod"])
def test_failure_leaves_the_old_file_and_no_temporary(tmp_path: Path, mocker: MockerFixture, call: str) -> None:
    target = tmp_path / "f"
    target.write_bytes(b"old")
    mocker.patch(call, side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StateError, match="f cannot be written: No space left on device"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "x", b"")


def test_loop_of_symlinks(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StateError, match="cannot be written"):
        write_atomically(tmp_path / "a", b"")


def test_reader_never_sees_a_part(tmp_path: Path) -> None:
    target = tmp_path / "f"
    whole = {bytes([letter]) * 300_000 for letter in b"abcd"}
    write_atomically(target, b"a" * 300_000)
    ended = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not ended.is_set():
            seen.append(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for content in whole:
            write_atomically(target, content)
    ended.set()
    reader.join()
    assert set(seen) <= whole


def test_what_a_crash_leaves_names_its_writer(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from maestro.store import atomic
os.replace = lambda *_: os._exit(9)
atomic.write_atomically(Path(sys.argv[1]), b"new")
"""
    target = tmp_path / "a.1-2.json"
    died = subprocess.Popen([sys.executable, "-c", script, str(target)])
    started = start_time(died.pid)
    assert died.wait() == 9
    (left,) = tmp_path.iterdir()
    assert writer_of(left.name) == (died.pid, started)


@pytest.mark.parametrize("name", ["tasks.json", ".tasks.json.abcd1234.tmp", ".x.1-2.tmp", "x.1-2.abcd1234.tmp", ".tmp"])
def test_any_other_file_names_nobody(name: str) -> None:
    assert writer_of(name) is None
