"""Git's index read without git, against what git says is in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.workspaces.index import IndexPaths, read_index
from maestro.workspaces.tracked import tracked_by


@pytest.fixture(params=["sha1", "sha256"])
def index_of(request: pytest.FixtureRequest, tmp_path: Path, hermetic: Path) -> tuple[Path, int]:
    place = tmp_path / "p"
    subprocess.run(["git", "init", "-q", f"--object-format={request.param}", place], check=True)
    (place / "a" / "b").mkdir(parents=True)
    for length in range(1, 20):  # each number of NULs behind a name
        (place / ("n" * length)).write_text("n")
    (place / "a" / "b" / "run").write_text("r")
    (place / "a" / "b" / "run").chmod(0o755)
    (place / "a" / ".gitattributes").write_text("* text\n")
    (place / "a" / "link").symlink_to("b")
    Path(os.fsdecode(os.fsencode(place) + b"/\xe9 \n")).write_text("l")
    subprocess.run(["git", "add", "."], cwd=place, check=True)
    return place / ".git" / "index", 20 if request.param == "sha1" else 32


def read(index: Path, id_size: int) -> IndexPaths:
    found = read_index(index, id_size)
    assert found is not None
    return found


def test_the_same_paths_as_git(index_of: tuple[Path, int]) -> None:
    index, found = index_of[0], read(*index_of)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=index.parent.parent, capture_output=True, check=True)
    assert found.files == listed.stdout.split(b"\0")[:-1]
    assert tracked_by(found).names.keys() == {b"", b"a/", b"a/b/"}
    assert tracked_by(found).names[b"a/"] == {b".gitattributes", b"b/", b"link"}


def test_files_from_the_second_of_the_index_are_young(index_of: tuple[Path, int]) -> None:
    index = index_of[0]
    newest = int((index.parent.parent / "n").stat().st_ctime)
    os.utime(index, (newest, newest))
    young = read(*index_of).young
    for path in (b"a/b/run", b"n", b"a/link"):
        about = (index.parent.parent / os.fsdecode(path)).lstat()
        assert young[path] == (about.st_ino & 0xFFFFFFFF, about.st_ctime_ns)
    os.utime(index, (newest + 2, newest + 2))
    assert not read(*index_of).young


@pytest.mark.parametrize("change", ["submodule", "version", "sparse"])
def test_an_index_with_more_than_files_is_not_read(change: str, repo: Repository) -> None:
    repo.commit({"a/b": "b", "c/d": "d"})
    match change:
        case "submodule":
            repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.head},sub")
        case "version":
            repo.git("update-index", "--index-version", "4")
        case _:
            repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "a")
    assert read_index(repo.path / ".git" / "index", 20) is None
