"""Small files, replaced: nothing that stands in the way is written to or waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro.workspaces.anew import SUFFIX, write_anew


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("the user's")
    return path


@pytest.mark.parametrize("name", ["file", f"file{SUFFIX}"])
@pytest.mark.parametrize("plant", ["link", "second name", "pipe", "closed file"])
def test_what_was_planted_makes_way(name: str, plant: str, victim: Path, tmp_path: Path) -> None:
    planted = tmp_path / name
    if plant == "link":
        planted.symlink_to(victim)
    elif plant == "second name":
        planted.hardlink_to(victim)
    elif plant == "pipe":
        os.mkfifo(planted)
    else:
        planted.touch(0o400)

    write_anew(str(tmp_path / "file"), b"ours")

    assert (tmp_path / "file").read_bytes() == b"ours"
    assert (tmp_path / "file").lstat().st_nlink == 1
    assert not (tmp_path / "file").is_symlink()
    assert victim.read_text() == "the user's"
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "victim"}


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / f"file{SUFFIX}").mkdir()
    with pytest.raises(OSError, match=SUFFIX):
        write_anew(str(tmp_path / "file"), b"ours")
