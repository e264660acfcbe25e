"""What hides the state from `git status` is there whole, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.store.ignorefile import hide


def test_it_is_made_once_and_what_is_there_stays(tmp_path: Path) -> None:
    hide(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*\n"
    (tmp_path / ".gitignore").write_text("mine\n")
    hide(tmp_path, "other\n")
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert os.listdir(tmp_path) == [".gitignore"]  # noqa: PTH208


@pytest.mark.parametrize(("dies", "there"), [("die(); link(*a, **o)", []), ("link(*a, **o); die()", ["*\n"])])
def test_a_death_on_the_way_leaves_all_of_it_or_nothing(dies: str, there: list[str], tmp_path: Path) -> None:
    program = f"""
import os, pathlib, sys
from maestro.store.ignorefile import hide
link, die = os.link, lambda: os.kill(os.getpid(), 9)
def last(*a, **o): {dies}
os.link = last
hide(pathlib.Path(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.read_text() for path in tmp_path.iterdir()] == there


@pytest.mark.parametrize("fails", ["open", "link"])
def test_where_no_file_can_be_without_a_name_it_is_written_in_place(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(*args: object, **options: object) -> int:
        if fails == "link" or (len(args) > 1 and isinstance(args[1], int) and args[1] & os.O_TMPFILE == os.O_TMPFILE):
            raise OSError(95, "not supported")
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, fails, refuse)
    hide(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_the_quicker_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(*args: str, **options: int) -> None:
        (tmp_path / ".gitignore").write_text("theirs\n")
        link(*args, **options)

    monkeypatch.setattr(os, "link", late)
    hide(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "theirs\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_or_not_ours_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hide(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        hide(tmp_path / "file")
