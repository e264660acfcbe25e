"""Secrets taken out of files that others wrote."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from maestro.errors import StateError
from maestro.model.redaction import Redactor
from maestro.store.masking import BLOCK, make_private, mask_file, mask_folder, write_privately

SECRET = "Pl4nted-secret"
REDACTOR = Redactor([SECRET])


def test_a_file_with_a_secret_is_replaced_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "stdout"
    file.write_bytes(b"\xff before\n" + SECRET.encode() + b"\nafter\n")
    file.chmod(0o644)
    os.utime(file, ns=(1_000_000_000, 2_000_000_000))

    assert mask_file(file, REDACTOR)

    assert file.read_bytes() == b"\xff before\n***\nafter\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_mtime_ns == 2_000_000_000
    assert [one.name for one in tmp_path.iterdir()] == ["stdout"]
    assert not mask_file(file, REDACTOR)


def test_a_file_without_one_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "stdout"
    file.write_bytes(b"nothing to hide\n" * 100_000)
    before = file.stat()

    assert not mask_file(file, REDACTOR)

    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("at", [0, 5, BLOCK - 7, BLOCK, 2 * BLOCK - 1, 3 * BLOCK + 100])
def test_a_secret_at_the_border_of_blocks_is_found(tmp_path: Path, at: int) -> None:
    file = tmp_path / "stdout"
    rest = b" end" * 100
    file.write_bytes(b"." * at + SECRET.encode() + rest)

    assert mask_file(file, REDACTOR)

    assert file.read_bytes() == b"." * at + b"***" + rest


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "stdout"
    line = b"a line of a long log that says nothing of interest, again and again\n"
    with file.open("wb") as out:
        for _ in range(24):
            out.write(line * (1 << 20 >> 6))
        out.write(SECRET.encode())
    tracemalloc.start()
    try:
        assert mask_file(file, REDACTOR)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert file.read_bytes().endswith(b"again\n***")


def test_what_is_no_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(SECRET)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")

    assert not mask_file(tmp_path / "link", REDACTOR)
    assert not mask_file(tmp_path / "pipe", REDACTOR)
    assert not mask_file(tmp_path / "missing", REDACTOR)
    assert not mask_file(tmp_path, REDACTOR)
    assert (tmp_path / "real").read_text() == SECRET


def test_a_folder_is_masked_through_and_through(tmp_path: Path) -> None:
    for name in ("a/stdout", "a/b/stderr", "a/b/clean", "kept/file", "a/journal"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("clean" if name.endswith("clean") else f"x {SECRET}\n")

    assert mask_folder(tmp_path, REDACTOR, frozenset({"kept", "journal"})) == 2

    assert (tmp_path / "a/b/stderr").read_text() == "x ***\n"
    assert SECRET in (tmp_path / "kept/file").read_text()
    assert SECRET in (tmp_path / "a/journal").read_text()


def test_what_cannot_be_masked_is_said_after_all_else_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stdout").write_text(SECRET)
    replace = os.replace

    def refusing(source: str, target: Path) -> None:
        if "/b/" in str(target):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", refusing)
    with pytest.raises(StateError, match=r"b/stdout may hold secrets and cannot be masked: No space left"):
        mask_folder(tmp_path, REDACTOR)

    assert [(tmp_path / name / "stdout").read_text() for name in "abc"] == ["***", SECRET, "***"]
    assert [one.name for one in (tmp_path / "b").iterdir()] == ["stdout"]


def test_a_private_folder_is_private_also_where_it_was_not(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)

    make_private(old)
    make_private(tmp_path / "new" / "deep")

    assert stat.S_IMODE(old.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "deep").stat().st_mode) == 0o700


def test_what_is_written_privately_goes_nowhere_else(tmp_path: Path) -> None:
    path, other = tmp_path / "prompt.md", tmp_path / "other"
    other.write_text("the user's\n")
    path.symlink_to(other)
    write_privately(path, "one")
    assert (path.read_text(), path.is_symlink(), other.read_text()) == ("one", False, "the user's\n")
    path.unlink()
    os.mkfifo(path)
    write_privately(path, "two")
    write_privately(path, "three")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("three", 0o600)
