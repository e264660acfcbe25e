"""What a sandbox shows: the inner place wins, links are followed, what is not there is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.resources.mounts import Mounts


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("home/project/.git/objects", "home/tools", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def words(mounts: Mounts, tree: Path) -> list[str]:
    """The arguments as one line for each, with short paths."""
    said = [one.replace(f"{tree}/", "") for one in mounts.arguments()]
    lines: list[str] = []
    for one in said:
        if one.startswith("--"):
            lines.append(one)
        else:
            lines[-1] += f" {one}"
    return lines


def test_what_holds_others_comes_first_and_what_is_hidden_is_made_read_only_last(tree: Path) -> None:
    mounts = Mounts()
    mounts.write(tree / "home/project/.git/objects")
    mounts.read(tree / "home/project/.git")
    mounts.hide(tree / "home", tree / "home/project")
    mounts.read(tree / "home/tools")
    assert words(mounts, tree) == [
        "--tmpfs home",
        "--tmpfs home/project",
        "--ro-bind home/tools home/tools",
        "--ro-bind home/project/.git home/project/.git",
        "--bind home/project/.git/objects home/project/.git/objects",
        "--remount-ro home",
        "--remount-ro home/project",
    ]


def test_what_can_be_read_anyhow_and_what_is_not_there_need_no_mount(tree: Path) -> None:
    mounts = Mounts()
    mounts.read(tree / "elsewhere", tree / "nothing")
    mounts.write(tree / "nothing")
    mounts.hide(tree / "nothing")
    assert mounts.arguments() == []
    mounts.write(tree)
    mounts.read(tree / "elsewhere")
    assert words(mounts, tree)[-1] == "--ro-bind elsewhere elsewhere", "it would be writable with what is around it"


def test_at_the_very_place_showing_wins_over_hiding_whatever_comes_first(tree: Path) -> None:
    one, other = Mounts(), Mounts()
    one.hide(tree / "home")
    one.write(tree / "home")
    other.write(tree / "home")
    other.hide(tree / "home")
    assert one.arguments() == other.arguments() == ["--bind", str(tree / "home"), str(tree / "home")]


def test_a_link_is_found_under_both_names_where_it_would_be_hidden(tree: Path) -> None:
    (tree / "home/link").symlink_to(tree / "elsewhere")
    mounts = Mounts()
    mounts.hide(tree / "home")
    mounts.write(tree / "home/link")
    assert "--bind elsewhere home/link" in words(mounts, tree)
    assert "--bind elsewhere elsewhere" in words(mounts, tree)


def test_a_folder_can_stand_in_the_place_of_another_and_devices_stay_devices(tree: Path) -> None:
    mounts = Mounts()
    mounts.put(tree / "elsewhere", tree / "home")
    mounts.write(Path("/dev/null"))
    assert words(mounts, tree) == ["--dev-bind /dev/null /dev/null", "--bind elsewhere home"]


def test_a_copy_changes_nothing_of_the_first(tree: Path) -> None:
    mounts = Mounts()
    mounts.copy().write(tree / "home")
    assert mounts.arguments() == []
