"""What may have been touched is found among thousands of files, and nothing else: by `find`, or without it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from maestro.workspaces import touched
from maestro.workspaces.index import LOWER_BITS, Young, born
from maestro.workspaces.parking import Layer, Pristine
from maestro.workspaces.revealing import reveal
from maestro.workspaces.touched import drop_touched
from maestro.workspaces.tracked import Marks, Tracked

ODD = ("a b", "new\nline", "%s*?[x]", os.fsdecode(b"\xff\xfe"), "ü", "-printf")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two hundred in each of two folders, and some of odd names and kinds."""
    top = tmp_path / "[top] *"
    for folder in ("one", "two", "one/deep"):
        (top / folder).mkdir(parents=True)
        for number in range(200):
            (top / folder / f"{number}.txt").write_text(f"{folder} {number}\n")
    for name in ODD:
        (top / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    (top / "link").symlink_to("one/1.txt")
    (top / "nowhere").symlink_to("nowhere at all")
    (top / ".git").write_text("gitdir: elsewhere\n")
    return top


def young_of(top: Path) -> dict[bytes, tuple[int, int]]:
    there = (path for path in top.rglob("*") if path.name != ".git" and (path.is_symlink() or not path.is_dir()))
    return {os.fsencode(path.relative_to(top)): born(path.lstat()) for path in there}


def handed(top: Path) -> int:
    """A moment of the file system's clock after all that happened so far."""
    probe, newest = top.parent / "probe", max(changed for _, changed in young_of(top).values())
    while True:
        probe.touch()
        if (now := probe.stat().st_ctime_ns) > newest:
            return now


@pytest.fixture(params=["find", "no find", "another find", "a find that lies"])
def with_or_without(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the pass be made with GNU's, or with what else may be called so."""
    kind, other = str(request.param), tmp_path / "other"
    found = shutil.which("find") if kind == "find" else None
    assert kind != "find" or found
    if kind in ("another find", "a find that lies"):
        script = "echo 'unrecognized: -printf' >&2; exit 1" if kind == "another find" else "printf '1.1 1 one/1.txt\\0'"
        other.write_text(f"#!/bin/sh\n{script}\n")
        other.chmod(0o755)
        found = str(other)
    monkeypatch.setattr(touched, "_find", lambda: found)


@pytest.mark.usefixtures("with_or_without")
def test_nothing_is_dropped_where_nothing_was_done(files: Path) -> None:
    young = young_of(files)
    assert len(young) == 608
    assert drop_touched(files, young, handed(files)) == []
    assert young_of(files) == young


@pytest.mark.usefixtures("with_or_without")
def test_all_that_can_be_done_to_a_file_is_seen(files: Path) -> None:
    young, moment = young_of(files), handed(files)
    (files / "one/1.txt").write_text("one 7\n")  # of the same length
    os.utime(files / "one/1.txt", ns=((files / "one/2.txt").stat().st_mtime_ns,) * 2)
    os.utime(files / "one/3.txt", ns=(1, 1))
    (files / "one/4.txt").chmod(0o755)
    (files / "one/5.txt").unlink()
    (files / "one/6.txt").rename(files / "one/7.txt")
    os.link(files / "one/8.txt", files / "another name")
    (files / "one/9.txt").unlink()
    (files / "one/9.txt").mkdir()
    (files / "link").unlink()
    (files / "link").symlink_to("one/2.txt")
    (files / ODD[1]).write_text("")
    expected = {b"one/1.txt", b"one/3.txt", b"one/4.txt", b"one/5.txt", b"one/6.txt", b"one/7.txt", b"one/8.txt"}
    expected |= {b"one/9.txt", b"link", os.fsencode(ODD[1])}

    dropped = drop_touched(files, young, moment)

    assert set(dropped) == expected
    assert len(dropped) == len(expected)
    there = {os.fsencode(name) for name in map(os.fsdecode, expected) if os.path.lexists(files / name)}
    assert there == {b"one/9.txt"}, "a folder is for the scrubbing to remove"
    assert (files / "one/10.txt").read_text() == "one 10\n"


@pytest.mark.usefixtures("with_or_without")
def test_folders_that_changed_places_are_seen_though_no_file_was_touched(files: Path) -> None:
    young, moment = young_of(files), handed(files)
    (files / "one").rename(files / "three")
    (files / "two").rename(files / "one")
    (files / "three").rename(files / "two")

    dropped = drop_touched(files, young, moment)

    assert set(dropped) == {name for name in young if name.startswith((b"one/", b"two/"))}


@pytest.mark.usefixtures("with_or_without")
def test_what_is_older_than_it_was_handed_out_counts_only_if_it_is_the_one_that_was_checked_out(files: Path) -> None:
    """Somebody may have written between two tasks."""
    young = young_of(files)
    handed(files)
    (files / "two/1.txt").write_text("later")

    assert drop_touched(files, young, handed(files)) == [b"two/1.txt"]


@pytest.mark.usefixtures("with_or_without")
def test_what_is_of_the_very_moment_counts_as_touched(files: Path) -> None:
    young = young_of(files)
    newest = max(changed for _, changed in young.values())

    assert set(drop_touched(files, young, newest)) == {name for name, (_, at) in young.items() if at == newest}


def test_find_alone_settles_it_for_nearly_all(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    young, moment = young_of(files), handed(files)
    (files / "two/1.txt").write_text("later")
    asked: list[object] = []
    lstat = os.lstat

    def counted(path: os.PathLike[bytes] | bytes, *, dir_fd: int | None = None) -> os.stat_result:
        asked.append(path)
        return lstat(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "lstat", counted)
    drop_touched(files, young, moment)
    assert asked == [b"two/1.txt"]


def test_an_inode_that_an_index_cannot_hold_is_compared_by_what_it_holds(files: Path) -> None:
    young: Young = {name: (inode & LOWER_BITS, at) for name, (inode, at) in young_of(files).items()}
    beyond = {name: (inode ^ 1 << 31, at) for name, (inode, at) in young.items()}
    assert drop_touched(files, young, handed(files)) == []
    assert set(drop_touched(files, beyond, handed(files))) == set(young)


def pristine_with(young: dict[bytes, tuple[int, int]], handed_ns: int) -> Pristine:
    layer = Layer(Tracked({b"": frozenset(young)}), {}, young)
    nobody = Marks(0, 0, frozenset())
    return Pristine(Path("g"), "base", 0o755, nobody, (), b"", 0, handed_ns, 0o644, layer)


def test_a_later_second_settles_it(tmp_path: Path) -> None:
    file, index = tmp_path / "f", tmp_path / "index"
    file.write_text("x")
    index.write_text("")
    about, before = file.lstat(), index.stat().st_mtime
    made, long_ago = born(about)[1], time.time_ns() - 10 * 10**9

    def shown(young: dict[bytes, tuple[int, int]], handed_ns: int) -> bool:
        return reveal(tmp_path, tmp_path, pristine_with(young, handed_ns), time.time_ns())

    assert not shown({b"f": born(about)}, made), "and nothing differs"
    assert shown({b"f": (about.st_ino, long_ago)}, made), "it was handed out later"
    assert shown({}, made)
    assert index.stat().st_mtime == before

    assert shown({b"f": (about.st_ino, long_ago)}, long_ago), "from now on"
    assert index.stat().st_mtime == 1
    for first_ns in (time.time_ns(), long_ago):  # of one that nothing is known of
        os.utime(index)
        assert reveal(tmp_path, tmp_path, None, first_ns) == (first_ns == long_ago)
        assert index.stat().st_mtime == 1
