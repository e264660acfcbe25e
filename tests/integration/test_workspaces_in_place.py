"""Workspace kind `none`: in the user's own checkout, one at a time, and back to where it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.errors import Busy, WorkspaceError
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces


def in_place(repo: Repository, tmp_path: Path) -> Lifecycle:
    return open_workspaces("none", git=open_repository(repo.path), root=tmp_path / "root")


def spec(base: str, task: str = "t") -> WorkspaceSpec:
    return WorkspaceSpec(run_id="r", task_id=task, task_name=task, attempt=1, base=base, branch=f"maestro/r/{task}")


def agent(workspace: Workspace, command: str) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    subprocess.run(["sh", "-ec", command], cwd=workspace.repo, env=env, check=True, capture_output=True)


def test_a_dirty_checkout_is_refused(repo: Repository, tmp_path: Path) -> None:
    repo.write({"untracked": "u"})
    with pytest.raises(WorkspaceError, match="uncommitted changes"):
        in_place(repo, tmp_path).create(spec(repo.head))
    assert repo.git("status", "--porcelain", "--branch") == "## main\n?? untracked"


def test_tasks_one_after_the_other_each_on_the_work_before(repo: Repository, tmp_path: Path) -> None:
    workspaces, base = in_place(repo, tmp_path), repo.head
    first = workspaces.create(spec(base, "t1"))
    with pytest.raises(Busy):
        in_place(repo, tmp_path).create(spec(base, "t2"))
    agent(first, "echo 1 > one")
    tip = workspaces.collect(first, "m").tip
    assert tip is not None
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## main", base)
    second = workspaces.create(spec(tip, "t2"))
    agent(second, "cat one; echo 2 > two; git add two; git commit -qm 2")
    assert workspaces.collect(second, "m").changed_paths == ("two",)
    workspaces.remove(first)
    workspaces.remove(second)
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## main", base)
    assert repo.files("maestro/r/t2") == ["README.md", "one", "two"]


def test_commits_on_the_branch_of_the_user_are_taken_off_it(repo: Repository, tmp_path: Path) -> None:
    workspaces, base = in_place(repo, tmp_path), repo.head
    workspace = workspaces.create(spec(base))
    agent(workspace, "git checkout -q main; echo x > x; git add x; git commit -qm x")
    evidence = workspaces.collect(workspace, "m")
    assert evidence.changed_paths == ("x",)
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## main", base)
    assert repo.git("rev-parse", "maestro/r/t") == evidence.tip


def test_a_failed_attempt_is_saved_and_the_checkout_restored(repo: Repository, tmp_path: Path) -> None:
    repo.commit({".gitignore": "*.log\n"})
    repo.write({"keep.log": "mine"})
    repo.git("checkout", "-q", "--detach")
    workspaces, base = in_place(repo, tmp_path), repo.head
    workspace = workspaces.create(spec(base))
    agent(workspace, "echo x > x; git add x; git commit -qm x; echo y > y; mkdir n; cd n; git init -q; echo z > z")
    ref = workspaces.save(workspace, "r", "t")
    assert ref is not None
    assert (repo.path / "y").is_file()
    workspaces.remove(workspace)
    assert repo.files(ref) == [".gitignore", "README.md", "n/z", "x", "y"]
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## HEAD (no branch)", base)
    assert (repo.path / "keep.log").read_text() == "mine"
    workspaces.create(spec(base))  # free again


def test_after_a_crash_the_next_one_brings_the_user_back_first(repo: Repository, tmp_path: Path) -> None:
    base = repo.head
    dead = in_place(repo, tmp_path)
    workspace = dead.create(spec(base, "t1"))
    agent(workspace, "echo lost > lost")
    dead._release()  # type: ignore[attr-defined]  # what the kernel does when a process dies
    workspaces = in_place(repo, tmp_path)
    second = workspaces.create(spec(base, "t2"))
    assert repo.show("refs/maestro/saved/r/t1", "lost") == "lost"
    assert not (repo.path / "lost").exists()
    workspaces.collect(second, "m")
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## main", base)


def test_conflicts_left_behind_stay_until_they_are_removed(repo: Repository, tmp_path: Path) -> None:
    workspaces, base = in_place(repo, tmp_path), repo.head
    workspace = workspaces.create(spec(base))
    agent(
        workspace,
        "git checkout -qb s; echo s > README.md; git commit -qam s; git checkout -q maestro/r/t; echo t > README.md;"
        "git commit -qam t; git merge -q s || true",
    )
    assert "unresolved conflicts" in (workspaces.collect(workspace, "m").damage or "")
    workspaces.remove(workspace)
    assert "<<<<<<<" in repo.show("refs/maestro/saved/r/t", "README.md")
    assert (repo.git("status", "--porcelain", "--branch"), repo.head) == ("## main", base)
