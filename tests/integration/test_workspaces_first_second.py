"""What an agent does in the very second in which its files were checked out, which git cannot see by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.index import born
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.touched import drop_touched
from tests.integration.seconds_lab import beginnings
from tests.integration.test_workspaces_recycling import admin_of, as_agent


@pytest.fixture
def workspaces(repo: Repository, tmp_path: Path) -> Lifecycle:
    repo.commit({f"d/{number}": f"text {number}\n" for number in range(40)})
    (repo.path / "link").symlink_to("d/1")
    repo.git("add", "link")
    repo.git("commit", "-qm", "link")
    return open_workspaces("worktree", git=open_repository(repo.path), root=tmp_path / "root", parked=2)


def made(workspaces: Lifecycle, repo: Repository, name: str) -> Workspace:
    return workspaces.create(
        WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=repo.head, branch=f"maestro/r/{name}")
    )


def rewritten(path: Path) -> None:
    """Other contents of the same length, and the old times."""
    about = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def turned(path: Path) -> None:
    link = path.parent.parent / "link"
    about = link.lstat()
    link.unlink()
    link.symlink_to("d/2")
    os.utime(link, ns=(about.st_atime_ns, about.st_mtime_ns), follow_symlinks=False)


def linked(path: Path) -> None:
    (path.parent.parent.parent / "second name").hardlink_to(path)


def marked(path: Path) -> None:
    try:
        os.setxattr(path, "user.note", b"for the next")
    except OSError:
        pytest.skip("this file system has no attributes of users")


@pytest.mark.parametrize("change", [rewritten, turned, linked, marked, lambda path: path.chmod(0o666)])
def test_it_is_undone(change: Callable[[Path], None], workspaces: Lifecycle, repo: Repository) -> None:
    for number in beginnings():
        workspace = made(workspaces, repo, f"t{number}")
        before = (workspace.repo / "d/3").stat()
        change(workspace.repo / "d/3")
        is_same_second = time.time() // 1 == (admin_of(workspace) / "index").stat().st_mtime // 1
        top = workspace.repo.stat().st_ino
        workspaces.remove(workspace)
        again = made(workspaces, repo, f"u{number}")
        assert again.repo.stat().st_ino == top
        found = (again.repo / "d/3").stat()
        assert (again.repo / "d/3").read_text() == "text 3\n"
        assert (found.st_mode, found.st_nlink) == (before.st_mode, 1)
        assert not os.listxattr(again.repo / "d/3")
        assert (again.repo / "link").readlink() == Path("d/1")
        assert as_agent(again, "git status --porcelain; git diff HEAD") == ""
        workspaces.remove(again)
        if is_same_second:
            workspaces.close()
            return
    pytest.fail("no second was long enough")


def test_what_may_have_been_changed_at_the_moment_itself_counts_as_changed(tmp_path: Path) -> None:
    """The clock of a file system is coarse: two changes within one of its ticks look the same."""
    before, same, gone = (tmp_path / name for name in ("before", "same", "gone"))
    before.touch()
    gone.touch()
    same.touch()
    while same.stat().st_ctime_ns == before.stat().st_ctime_ns:
        same.touch()
    young = {os.fsencode(path.name): born(path.lstat()) for path in (before, same, gone)}
    gone.unlink()

    dropped = drop_touched(tmp_path, young, same.stat().st_ctime_ns)

    assert set(dropped) == {b"same", b"gone"}
    assert before.exists()
    assert not same.exists()


def test_one_that_nobody_will_want_is_really_removed(workspaces: Lifecycle, repo: Repository, tmp_path: Path) -> None:
    workspace = made(workspaces, repo, "t")

    workspaces.remove(workspace, for_good=True)

    assert not list((tmp_path / "root").iterdir())
    assert len(repo.git("worktree", "list").splitlines()) == 1
