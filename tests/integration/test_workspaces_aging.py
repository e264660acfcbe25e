"""Files of a fresh workspace are older than its index: git need not read them, and what is done to them is found."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.aging import age, reveal
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.index import born, read_index
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from tests.integration.seconds_lab import beginnings
from tests.integration.test_workspaces_recycling import admin_of, as_agent

BOTH = pytest.mark.parametrize("kind", ["worktree", "clone"])


@pytest.fixture
def opened(repo: Repository, tmp_path: Path) -> Callable[[str], Lifecycle]:
    repo.commit({f"d/{number}": f"text {number}\n" for number in range(10, 50)})
    (repo.path / "link").symlink_to("d/11")
    repo.git("add", "link")
    repo.git("commit", "-qm", "link")
    return lambda kind: open_workspaces(kind, git=open_repository(repo.path), root=tmp_path / "root", parked=2)


def made(workspaces: Lifecycle, repo: Repository, name: str) -> Workspace:
    return workspaces.create(
        WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=repo.head, branch=f"maestro/r/{name}")
    )


def rewrite(path: Path) -> None:
    """Other contents of the same length, and the old times."""
    about = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def in_the_second_of_its_index(workspace: Workspace) -> bool:
    """Whether what was just done to `d/13` was done then."""
    return (workspace.repo / "d/13").stat().st_ctime // 1 == read_times(workspace)[b"d/13"][0]


def read_times(workspace: Workspace) -> dict[bytes, tuple[int, ...]]:
    """path → seconds and nanoseconds of ctime and mtime, as the index has them."""
    index = admin_of(workspace) / "index"
    found = read_index(index, 20)
    assert found is not None
    raw = index.read_bytes()
    return {
        name: struct.unpack_from(">4L", raw, place.start) for name, place in zip(found.files, found.own, strict=True)
    }


@BOTH
def test_git_need_read_no_file(kind: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened(kind)
    workspace = made(workspaces, repo, "t")

    index = admin_of(workspace) / "index"
    for name, (changed, changed_ns, modified, modified_ns) in read_times(workspace).items():
        about = os.lstat(os.fsencode(workspace.repo) + b"/" + name)
        assert about.st_ctime_ns == changed * 10**9 + changed_ns
        assert about.st_mtime_ns == modified * 10**9 + modified_ns
        assert modified < index.stat().st_mtime // 1
    assert as_agent(workspace, "git diff-files; git fsck --no-dangling") == ""  # and the checksum of the index is right
    workspaces.remove(workspace)
    workspaces.close()


@BOTH
@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_git_sees_at_once_what_an_agent_does(
    is_used: bool, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """Of the same length and in the same second, but with no time put back."""
    workspaces = opened(kind)
    for number in beginnings():
        if is_used:
            workspaces.remove(made(workspaces, repo, f"t{number}"))
        workspace = made(workspaces, repo, f"u{number}")
        path = workspace.repo / "d/13"
        path.write_bytes(path.read_bytes().swapcase())
        (workspace.repo / "link").unlink()
        (workspace.repo / "link").symlink_to("d/12")
        is_same_second = in_the_second_of_its_index(workspace)
        assert as_agent(workspace, "git status --porcelain") == " M d/13\n M link\n"
        workspaces.remove(workspace)
        if is_same_second:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
@pytest.mark.parametrize("who", ["the same", "another", "of a used one"])
@pytest.mark.parametrize("then", ["", "git add -A; git commit -q --allow-empty -m x"])
def test_what_git_cannot_see_is_collected(
    then: str, who: str, kind: str, opened: Callable[[str], Lifecycle], repo: Repository
) -> None:
    """`who` collects: also a coordinator that goes on with what a dead one made."""
    workspaces = opened(kind)
    for number in beginnings():
        if who == "of a used one":
            workspaces.remove(made(workspaces, repo, f"t{number}"))
        workspace = made(workspaces, repo, f"u{number}")
        rewrite(workspace.repo / "d/13")
        is_hidden = as_agent(workspace, f"{then}\ngit status --porcelain") == ""
        collects = opened(kind) if who == "another" else workspaces

        evidence = collects.collect(workspace, "the rest")

        assert evidence.changed_paths == ("d/13",)
        assert evidence.tip is not None
        assert repo.git("show", f"{evidence.tip}:d/13") == "TEXT 13"
        workspaces.remove(workspace)
        if is_hidden:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


@BOTH
def test_what_git_cannot_see_is_saved(kind: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened(kind)
    for number in beginnings():
        workspace = made(workspaces, repo, f"u{number}")
        rewrite(workspace.repo / "d/13")
        is_hidden = as_agent(workspace, "git status --porcelain") == ""

        saved = workspaces.save(workspace, "r", f"u{number}")

        assert saved is not None
        assert repo.git("show", f"{saved}:d/13") == "TEXT 13"
        workspaces.remove(workspace)
        if is_hidden:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


def test_where_times_cannot_be_set(
    opened: Callable[[str], Lifecycle], repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the files have become older, and the index does not say so."""
    set_time, calls = os.utime, []

    def refuse(path: Any, *args: Any, **options: Any) -> None:
        calls.append(path)
        if len(calls) > 20:
            raise PermissionError(1, "not permitted", path)
        set_time(path, *args, **options)

    workspaces = opened("worktree")
    with monkeypatch.context() as replaced:
        replaced.setattr(os, "utime", refuse)
        workspace = made(workspaces, repo, "t")
    assert len(calls) == 21
    as_agent(workspace, "git status")  # has read the files, and written an index
    rewrite(workspace.repo / "d/13")

    assert workspaces.collect(workspace, "the rest").changed_paths == ("d/13",)
    workspaces.remove(workspace)
    workspaces.close()


def test_nothing_is_read_where_nothing_was_changed(opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    index = admin_of(workspace) / "index"
    before = index.stat().st_mtime_ns

    workspaces.reveal(workspace)

    assert index.stat().st_mtime_ns == before
    workspaces.remove(workspace)
    workspaces.close()


@pytest.mark.parametrize(
    "done", ["rm -r d", "rm -r d; ln -s /etc d", "chmod 000 d", 'rm "$(git rev-parse --git-dir)/index"', "mv d/12 d/13"]
)
def test_whatever_is_there_instead(done: str, opened: Callable[[str], Lifecycle], repo: Repository) -> None:
    workspaces = opened("worktree")
    workspace = made(workspaces, repo, "t")
    as_agent(workspace, done)

    workspaces.reveal(workspace)

    evidence = workspaces.collect(workspace, "the rest")
    assert evidence.damage is None
    assert ("d/12" in evidence.changed_paths) == ("chmod" not in done and "index" not in done)
    workspaces.remove(workspace)
    workspaces.close()


def test_a_later_second_settles_it(tmp_path: Path) -> None:
    file, index = tmp_path / "f", tmp_path / "index"
    file.write_text("x")
    index.write_text("")
    about = file.lstat()
    known = {b"f": born(about)}

    assert not reveal(tmp_path, index, known)
    assert reveal(tmp_path, index, {b"f": (about.st_ino, time.time_ns() - 10 * 10**9)})
    assert reveal(tmp_path, index, None)
    assert index.stat().st_mtime == 1


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_an_index_of_either_format(object_format: str, tmp_path: Path, hermetic: Path) -> None:
    place, size = tmp_path / "p", 20 if object_format == "sha1" else 32
    subprocess.run(["git", "init", "-q", f"--object-format={object_format}", place], check=True)
    for name in ("a", "b", "old"):
        (place / name).write_text(name)
    subprocess.run(["git", "add", "."], cwd=place, check=True)
    index = place / ".git" / "index"
    index.chmod(0o640)
    first = read_index(index, size)
    assert first is not None
    kept = (place / "old").lstat()
    found = type(first)(first.files, {b"a": first.young[b"a"], b"b": (0, 0)}, first.own, first.common, first.shared)

    young = age(place, index, found, size)

    assert young == {name: born(os.lstat(os.fsencode(place) + b"/" + name)) for name in (b"a", b"b")}
    assert (place / "old").lstat().st_mtime_ns == kept.st_mtime_ns
    assert index.stat().st_mode & 0o777 == 0o640
    again = subprocess.run(["git", "fsck"], cwd=place, capture_output=True, check=True)
    assert again.stderr.count(b"rror") == 0
    assert subprocess.run(["git", "diff-files", "--quiet"], cwd=place).returncode == 0


def test_a_checksum_that_was_left_out_stays_so(tmp_path: Path, hermetic: Path) -> None:
    """As newer gits do it with index.skipHash."""
    subprocess.run(["git", "init", "-q", tmp_path / "p"], check=True)
    (tmp_path / "p" / "a").write_text("a")
    subprocess.run(["git", "add", "."], cwd=tmp_path / "p", check=True)
    index = tmp_path / "p" / ".git" / "index"
    index.write_bytes(index.read_bytes()[:-20] + bytes(20))
    found = read_index(index, 20)
    assert found is not None

    age(tmp_path / "p", index, found, 20)

    assert index.read_bytes()[-20:] == bytes(20)
