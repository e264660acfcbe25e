"""Workspaces made before a task asks: like new ones, waited for, and gone with all trouble there is with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import GitError, WorkspaceError
from maestro.proc.family import identify
from maestro.testing.repository import Repository
from maestro.vcs.git import Git, open_repository
from maestro.workspaces import warming
from maestro.workspaces.janitor import clean, list_workspaces
from maestro.workspaces.parking import PARKED
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.worktree import WorktreeWorkspaces
from tests.integration.test_workspaces_recycling import as_agent, opened, renewed, spec_for, two_bases, use

__all__ = ["two_bases"]  # a fixture


def waiting(root: Path) -> list[Path]:
    return sorted(root.glob(f"{PARKED}*"))


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def warmed(repo: Repository, tmp_path: Path, base: str, count: int = 1) -> WorktreeWorkspaces:
    """Workspaces of which so many were made ahead."""
    workspaces = opened(repo, tmp_path, parked=count)
    assert isinstance(workspaces, WorktreeWorkspaces)
    workspaces.warm(base, count, "r1")
    for thread in _threads():
        thread.join()
    assert len(waiting(tmp_path / "root")) == count
    return workspaces


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("warm-")]


def nothing_is_left(repo: Repository, root: Path) -> None:
    assert not list(root.iterdir())
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not list((repo.path / ".git" / "worktrees").glob("*"))
    assert not _threads()


@pytest.mark.parametrize("later", ["main", "next"])
def test_one_made_ahead_is_like_a_new_one(later: str, two_bases: Repository, tmp_path: Path) -> None:
    workspaces = warmed(two_bases, tmp_path, two_bases.git("rev-parse", "main"))
    (home,) = waiting(tmp_path / "root")
    inode = (home / "project").stat().st_ino
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", later), inode, workspaces)


def test_one_made_ahead_is_used_again_and_again(two_bases: Repository, tmp_path: Path) -> None:
    base = two_bases.git("rev-parse", "main")
    workspaces = warmed(two_bases, tmp_path, base)
    inodes = {
        use(workspaces, base, f"a{number}", "echo x >> src/main.c; mkdir -p lib/new/er")[1] for number in range(3)
    }
    assert len(inodes) == 1
    renewed(two_bases, tmp_path, two_bases.git("rev-parse", "next"), inodes.pop(), workspaces)


def test_work_in_one_is_collected_however_early_it_is_done(two_bases: Repository, tmp_path: Path) -> None:
    workspaces = warmed(two_bases, tmp_path, two_bases.head)
    workspace = workspaces.create(spec_for(two_bases.head, "t1"))
    as_agent(workspace, "touch -r src/main.c ../s; printf 'int MAIN;\\n' >src/main.c; touch -r ../s src/main.c")
    assert workspaces.collect(workspace, "left over").changed_paths == ("src/main.c",)
    assert two_bases.git("show", "maestro/r1/t1:src/main.c") == "int MAIN;"


def test_what_comes_into_one_that_waits_is_not_handed_on(two_bases: Repository, tmp_path: Path) -> None:
    workspaces = warmed(two_bases, tmp_path, two_bases.head)
    (home,) = waiting(tmp_path / "root")
    (home / "project" / "lib" / "deep" / "stray").write_text("s\n")
    use(workspaces, two_bases.head, "t1", "true")
    last = workspaces.create(spec_for(two_bases.head, "t2"))
    assert not (last.repo / "lib" / "deep" / "stray").exists()


def test_it_is_of_no_branch_and_marked_as_nobodys_work_before_there_is_a_file(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = WorktreeWorkspaces._make_loose, []

    def make(self: WorktreeWorkspaces, base: str, files: Path) -> None:
        assert not files.exists()
        seen.extend(one.state.value for one in list_workspaces(open_repository(repo.path), tmp_path / "root"))
        real(self, base, files)

    monkeypatch.setattr(WorktreeWorkspaces, "_make_loose", make)
    workspaces = warmed(repo, tmp_path, repo.head)
    assert seen == ["parked"]
    assert repo.git("for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/main"
    workspaces.close()
    nothing_is_left(repo, tmp_path / "root")


class Gate:
    """Holds those back that are being made until they may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: BaseException | None = None) -> None:
        self.open, self.reached = threading.Event(), threading.Semaphore(0)
        real = WorktreeWorkspaces._make_loose

        def make(workspaces: WorktreeWorkspaces, base: str, files: Path) -> None:
            real(workspaces, base, files)
            self.reached.release()
            assert self.open.wait(20)
            if fails is not None:
                raise fails

        monkeypatch.setattr(WorktreeWorkspaces, "_make_loose", make)


def test_a_task_waits_for_one_that_is_coming(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, workspaces = Gate(monkeypatch), opened(repo, tmp_path, parked=2)
    assert isinstance(workspaces, WorktreeWorkspaces)
    workspaces.warm(repo.head, 1, "r1")
    assert gate.reached.acquire(timeout=20)
    (home,) = waiting(tmp_path / "root")
    inode = (home / "project").stat().st_ino
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(workspaces.create, spec_for(repo.head, "t1"))
        until(lambda: workspaces._parking._takers)
        second = workspaces.create(spec_for(repo.head, "t2"))  # nobody else waits for the one: it is made anew
        assert not first.done()
        gate.open.set()
        assert first.result().repo.stat().st_ino == inode
    assert second.repo.stat().st_ino != inode
    for workspace in (first.result(), second):
        assert as_agent(workspace, "git status --porcelain --branch").split() == ["##", workspace.branch]
    assert not waiting(tmp_path / "root")


@pytest.mark.parametrize("error", [GitError("git worktree failed"), OSError(28, "No space left on device")])
def test_who_waited_in_vain_makes_its_own(
    error: Exception, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, workspaces = Gate(monkeypatch, error), opened(repo, tmp_path, parked=2)
    workspaces.warm(repo.head, 2, "r1")
    for _ in range(2):
        assert gate.reached.acquire(timeout=20)
    with ThreadPoolExecutor(2) as threads:
        made = [threads.submit(workspaces.create, spec_for(repo.head, f"t{number}")) for number in range(2)]
        until(lambda: len(list((tmp_path / "root").glob("task-*"))) == 2)
        gate.open.set()
        for one in made:
            assert as_agent(one.result(), "git status --porcelain; git ls-files").split() == repo.files(repo.head)
    assert not waiting(tmp_path / "root")
    for one in made:  # both places have been given back
        workspaces.remove(one.result())
    assert len(waiting(tmp_path / "root")) == 2
    workspaces.close()
    nothing_is_left(repo, tmp_path / "root")


def test_closing_waits_for_what_is_being_made_and_leaves_nothing(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, workspaces = Gate(monkeypatch), opened(repo, tmp_path, parked=2)
    assert isinstance(workspaces, WorktreeWorkspaces)
    workspaces.warm(repo.head, 2, "r1")
    for _ in range(2):
        assert gate.reached.acquire(timeout=20)
    with ThreadPoolExecutor(2) as threads:
        task = threads.submit(workspaces.create, spec_for(repo.head, "t1"))
        until(lambda: workspaces._parking._takers)
        closing = threads.submit(workspaces.close)
        made = task.result()  # makes its own: what is coming is not let in any more
        gate.open.set()
        closing.result()
    workspaces.remove(made)
    nothing_is_left(repo, tmp_path / "root")
    workspaces.warm(repo.head, 2, "r1")
    nothing_is_left(repo, tmp_path / "root")


@pytest.mark.parametrize("hangs", ["worktree add", "read-tree"])
def test_a_git_that_hangs_does_not_hold_the_end_up(
    hangs: str, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "PATIENCE_SECONDS", 0.05)
    here, git = tmp_path / "here", tmp_path / "bin" / "git"
    git.parent.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    git.write_text(
        f'#!/bin/sh\ncase " $* " in *" {hangs} "*) echo $$ >{here}.new; mv {here}.new {here}; exec sleep 100;; esac\n'
        f'exec {real} "$@"\n'
    )
    git.chmod(0o755)
    slow = Git(repo.path, env={**os.environ, "PATH": f"{git.parent}:{os.environ['PATH']}"})
    workspaces = open_workspaces("worktree", git=slow, root=tmp_path / "root", parked=2)
    workspaces.warm(repo.head, 2, "r1")  # one of them may hold the lock for which the other waits
    until(here.exists)
    workspaces.close()
    assert identify(int(here.read_text())) is None
    nothing_is_left(repo, tmp_path / "root")


def test_what_could_not_be_removed_is_tried_again_at_the_end(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, workspaces = Gate(monkeypatch, GitError("git worktree failed")), opened(repo, tmp_path, parked=2)
    assert isinstance(workspaces, WorktreeWorkspaces)
    real, refused = workspaces._unmake_loose, []

    def unmake(home: Path) -> None:
        if not refused:
            refused.append(home)
            raise WorkspaceError("the system refuses")
        real(home)

    monkeypatch.setattr(workspaces._warming, "_unmake", unmake)
    gate.open.set()
    workspaces.warm(repo.head, 1, "r1")
    until(lambda: refused)
    assert waiting(tmp_path / "root") == refused
    workspaces.close()
    nothing_is_left(repo, tmp_path / "root")


def test_there_are_never_more_than_places(repo: Repository, tmp_path: Path) -> None:
    workspaces = opened(repo, tmp_path, parked=2)
    workspaces.warm(repo.head, 5, "r1")
    for thread in _threads():
        thread.join()
    assert len(waiting(tmp_path / "root")) == 2
    workspaces.close()
    nothing_is_left(repo, tmp_path / "root")


@pytest.mark.parametrize("kind", ["clone", "copy", "none"])
def test_other_kinds_make_none_ahead(kind: str, repo: Repository, tmp_path: Path) -> None:
    workspaces = open_workspaces(kind, git=open_repository(repo.path), root=tmp_path / "root", parked=2)
    workspaces.warm(repo.head, 2, "r1")
    assert not _threads()
    assert not waiting(tmp_path / "root")
    workspaces.close()


@pytest.mark.parametrize("without", ["places", "plain files"])
def test_none_is_made_that_could_not_be_handed_out(without: str, repo: Repository, tmp_path: Path) -> None:
    if without == "plain files":
        repo.commit({".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ../x\n'})
    workspaces = opened(repo, tmp_path, parked=0 if without == "places" else 2)
    workspaces.warm(repo.head, 2, "r1")
    assert not _threads()
    assert not waiting(tmp_path / "root")


KILLED = """
import os, sys
from pathlib import Path
from maestro.vcs import git as vcs
from maestro.vcs.git import open_repository
from maestro.workspaces.registry import open_workspaces
real = vcs.Git.run
def run(self, *args, **kwargs):
    done = real(self, *args, **kwargs)
    if args[0] == sys.argv[4]:
        os.kill(os.getpid(), 9)
    return done
vcs.Git.run = run
git, root, base = open_repository(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
workspaces = open_workspaces("worktree", git=git, root=root / "r1", parked=2)
workspaces.warm(base, 2, "r1")
"""


@pytest.mark.parametrize("after", ["worktree", "read-tree"])
def test_clean_removes_what_a_killed_run_was_making(after: str, repo: Repository, tmp_path: Path) -> None:
    git, root = open_repository(repo.path), tmp_path / "root"
    done = subprocess.run([sys.executable, "-c", KILLED, repo.path, root, repo.head, after], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    until(lambda: not _gits_in(root))
    found = list_workspaces(git, root)
    assert {one.state.value for one in found} == {"parked"}
    assert all(one.removed and one.saved_ref is None for one in clean(git, root, found))
    nothing_is_left(repo, root / "r1")


def _gits_in(root: Path) -> list[Any]:
    """Those of the killed process go on to their end."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(root).encode() in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found
