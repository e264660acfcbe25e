"""An index that is brought from commit to commit without git is the one that git would have made."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from maestro.vcs.parse import parse_raw_diff
from maestro.workspaces.index import read_index
from maestro.workspaces.splice import entries_of, index_of, plan
from maestro.workspaces.tracked import ABSENT, tracked_by

NAMES = ("a", "a.b", "a-b", "b", "ab", "\xe4 o", "Z", "long" * 20, "x" * 200)


class Place:
    """A repository, and what git says of an index in it."""

    def __init__(self, path: Path, object_format: str) -> None:
        self.path, self.id_size = path, 20 if object_format == "sha1" else 32
        subprocess.run(["git", "init", "-q", f"--object-format={object_format}", path], check=True)

    def git(self, *args: str, stdin: bytes | None = None, **env: str) -> bytes:
        done = subprocess.run(
            ["git", *args], cwd=self.path, input=stdin, env={**os.environ, **env}, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def commit(self, files: dict[str, str]) -> str:
        """A commit of exactly these files; the mode follows from the contents."""
        self.git("rm", "-rfq", "--ignore-unmatch", ".")
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if text == "link":
                target.symlink_to("nowhere")
            else:
                target.write_text(text)
                target.chmod(0o755 if text == "run" else 0o644)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD").decode().strip()

    def entries_for(self, changes: list[tuple[str, str, str]]) -> dict[bytes, bytes]:
        index = self.path / ".git" / "small"
        lines = b"".join(f"{mode} {oid}\t{path}\0".encode() for mode, oid, path in changes)
        self.git("update-index", "-z", "--index-info", stdin=lines, GIT_INDEX_FILE=str(index))
        found = entries_of(index.read_bytes(), self.id_size)
        index.unlink()
        return found


def some_files(dice: random.Random) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(dice.randint(0, 40)):
        name = "/".join(dice.choice(NAMES) for _ in range(dice.randint(1, 3)))
        folders = {name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1)}
        if not folders & found.keys() and not any(other.startswith(f"{name}/") for other in found):
            found[name] = dice.choice(("one", "two", "run", "link"))
    return found


def altered(files: dict[str, str], dice: random.Random) -> dict[str, str]:
    """The same but for some; no folder is gone."""
    new = dict(files)
    for name in dice.sample(sorted(files), min(len(files), 4)):
        new[name] = "three"
    for name, text in some_files(dice).items():
        folders = {name.rsplit("/", depth)[0] for depth in range(1, name.count("/") + 1)}
        if not folders & new.keys() and not any(other.startswith(f"{name}/") for other in new) and dice.random() < 0.3:
            new[name] = text
    return new


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_the_same_as_git_makes(object_format: str, tmp_path: Path, hermetic: Path) -> None:
    del hermetic
    dice = random.Random(6)
    place = Place(tmp_path / "p", object_format)
    index, spliced = place.path / ".git" / "index", 0
    for _ in range(12):
        files = some_files(dice)
        old = place.commit(files)
        new = place.commit(altered(files, dice))
        place.git("read-tree", old)
        raw, known = index.read_bytes(), read_index(index, place.id_size)
        assert known is not None
        changes = parse_raw_diff(place.git("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new))
        there = [os.fsencode(one.path) for one in changes if one.old_mode != ABSENT]
        come = [(one.new_mode, one.new, one.path) for one in changes if one.new_mode != ABSENT]
        added = [os.fsencode(one.path) for one in changes if one.old_mode == ABSENT]
        tracked = tracked_by(known)
        after = tracked.after(changes)
        splice = plan(raw, tracked, place.id_size, there, added)
        if splice is None:
            assert not files  # nothing to begin with
            continue
        whole = splice.with_entries(place.entries_for(come))
        assert whole is not None
        index.write_bytes(whole)
        listed = place.git("ls-tree", "-rz", new).replace(b" blob ", b" ").split(b"\0")
        assert place.git("ls-files", "-s", "-z").replace(b" 0\t", b"\t").split(b"\0") == listed
        assert place.git("write-tree") == place.git("rev-parse", f"{new}^{{tree}}")  # uses what is valid of the cache
        assert place.git("fsck", "--no-dangling", "--cache") == b""
        again = read_index(index, place.id_size)
        assert again is not None
        assert after == tracked_by(again)
        spliced += 1
    assert spliced > 8


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_small_index_is_what_git_makes(object_format: str, tmp_path: Path, hermetic: Path) -> None:
    del hermetic
    place, oid = Place(tmp_path / "p", object_format), ("ab" * 32)[: 40 if object_format == "sha1" else 64]
    names = ["a", "a.b", "a-b/c", "d/b", "Z/.x", "..a", "long" * 20, "x" * 200 + "/" + "y" * 200, "z" * 4200]
    changes = [(("100644", "100755", "120000")[at % 3], oid, name) for at, name in enumerate(names)]
    made = index_of({name.encode(): (int(mode, 8), oid) for mode, oid, name in changes}, place.id_size)
    assert made is not None
    assert entries_of(made, place.id_size) == place.entries_for(changes)
    index = place.path / ".git" / "index"
    index.write_bytes(made)
    assert sorted(place.git("ls-files", "-z").decode().split("\0")[:-1]) == sorted(names)


_ODD = [".git/config", "a/.GIT", "git~1/x", "a/.git", ".gitmodules", "a/../b", "..", "./a", "/a", "a//b", "a/"]


@pytest.mark.parametrize("path", [*_ODD, "a\\b", "a:b", "\u200c.git", "a b", "a\n"])
def test_what_git_may_object_to_is_asked_of_git(path: str) -> None:
    assert index_of({path.encode(): (0o100644, "ab" * 20)}, 20) is None


def test_two_in_one_place_are_left_to_git() -> None:
    assert index_of({b"a": (0o100644, "ab" * 20), b"a/b/c": (0o100644, "ab" * 20)}, 20) is None


def test_what_is_not_certain_is_left_to_git(tmp_path: Path, hermetic: Path) -> None:
    del hermetic
    place = Place(tmp_path / "p", "sha1")
    place.commit({"a": "one", "b/c": "two"})
    index = place.path / ".git" / "index"
    known = read_index(index, 20)
    assert known is not None
    tracked, raw = tracked_by(known), index.read_bytes()
    assert plan(raw, tracked, 20, [b"a"], []) is not None
    assert plan(raw, tracked, 20, [b"absent"], []) is None
    end = raw.index(b"TREE")
    twice = raw[:end] + raw[12:84] + raw[end:]  # an entry that stands there twice
    assert plan(twice, tracked, 20, [b"a"], []) is None
    assert plan(raw.replace(b"DIRC\0\0\0\2", b"DIRC\0\0\0\4"), tracked, 20, [b"a"], []) is None
    found = plan(raw.replace(b"TREE", b"link"), tracked, 20, [b"a"], [])
    assert found is not None
    assert found.with_entries({}) is None
