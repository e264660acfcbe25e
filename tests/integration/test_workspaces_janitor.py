"""`maestro clean`: by state, and nothing goes that is not landed or saved (W-6)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git, open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.janitor import Found, clean, list_workspaces, prune_branches, sweep_rubbish
from maestro.workspaces.registry import open_workspaces


def make(repo: Repository, root: Path, task: str, commands: str = "true", kind: str = "worktree") -> Workspace:
    workspaces = open_workspaces(kind, git=open_repository(repo.path), root=root / "r1")
    spec = WorkspaceSpec(
        run_id="r1", task_id=task, task_name=task, attempt=1, base=repo.head, branch=f"maestro/r1/{task}"
    )
    workspace = workspaces.create(spec)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    subprocess.run(["sh", "-ec", commands], cwd=workspace.repo, env=env, check=True)
    return workspace


def states(git: Git, root: Path, **known: object) -> dict[str, str]:
    return {one.task_id: one.state.value for one in list_workspaces(git, root, **known)}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["worktree", "clone", "copy"])
def test_states_and_what_clean_does_with_them(kind: str, repo: Repository, tmp_path: Path) -> None:
    root, git = tmp_path / "root", open_repository(repo.path)
    commit = "echo $MAESTRO_WORKSPACE_DIR > x; git add x; git commit -qm x"
    make(repo, root, "fresh", kind=kind)
    landed = make(repo, root, "landed", commit, kind)
    make(repo, root, "open", commit, kind)
    make(repo, root, "dirty", "echo d > d", kind)
    open_workspaces(kind, git=git, root=root / "r1").collect(landed, "m")
    repo.git("branch", "integration/r1", "maestro/r1/landed")
    (root / "task-foreign").mkdir()
    (root / "r1" / ".removing-task-x-1").mkdir()

    expected = {"fresh": "landed", "landed": "landed", "open": "unlanded", "dirty": "unlanded"}
    assert states(git, root) == expected
    assert states(git, root, live_runs=("r1",)) == dict.fromkeys(expected, "live")
    assert states(git, root, landed=[("r1", "open")])["open"] == "landed"
    found = list_workspaces(git, root)
    assert all(one.size_bytes > 0 for one in found)

    assert [one.removed for one in clean(git, root, found, dry_run=True)] == [False, True, True, False]
    assert states(git, root) == expected
    clean(git, root, found)
    assert states(git, root) == {"open": "unlanded", "dirty": "unlanded"}
    forced = clean(git, root, list_workspaces(git, root), force=True)
    assert [one.saved_ref for one in forced] == ["refs/maestro/saved/r1/dirty", "refs/maestro/saved/r1/open"]
    assert repo.show("refs/maestro/saved/r1/dirty", "d") == "d"
    assert "x" in repo.files("refs/maestro/saved/r1/open")
    assert list_workspaces(git, root) == ()
    assert sweep_rubbish(root / "r1") == 1
    assert [entry.name for entry in root.iterdir()] == ["task-foreign"], "an empty folder of somebody's"


def test_a_workspace_with_a_process_in_it_is_live(repo: Repository, tmp_path: Path) -> None:
    workspace = make(repo, tmp_path / "root", "t")
    child = subprocess.Popen(["cat"], cwd=workspace.repo, stdin=subprocess.PIPE)
    try:
        found = list_workspaces(open_repository(repo.path), tmp_path / "root")
        assert [one.state.value for one in found] == ["live"]
        result = clean(open_repository(repo.path), tmp_path / "root", found, force=True)
        kept = f"it is in use: process {child.pid} (cat) stands in it"
        assert [(one.removed, one.reason) for one in result] == [(False, kept)]
        open_to = list_workspaces(open_repository(repo.path), tmp_path / "root", run_id="r1", ending=[child.pid])
        assert [one.state.value for one in open_to] == ["landed"]
        assert list_workspaces(open_repository(repo.path), tmp_path / "root", run_id="r2") == ()
    finally:
        child.communicate()
    assert workspace.repo.is_dir()


def test_another_repository_and_a_broken_marker_are_left_alone(repo: Repository, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    theirs = make(other, tmp_path / "root", "theirs")
    broken = make(repo, tmp_path / "root", "broken")
    (broken.home / ".maestro-workspace.json").write_text("{")
    git = open_repository(repo.path)
    found = list_workspaces(git, tmp_path / "root")
    assert [(one.home, one.state.value) for one in found] == [(broken.home, "unknown")]
    result = clean(git, tmp_path / "root", [*found, Found(home=theirs.home, state="unknown")], force=True)
    assert not any(one.removed for one in result)
    assert theirs.repo.is_dir()


def test_branches_go_when_their_commits_are_kept(repo: Repository, tmp_path: Path) -> None:
    git = open_repository(repo.path)
    for name in ("landed", "saved", "loose", "out"):
        repo.git("checkout", "-q", "-b", f"maestro/r1/{name}", "main")
        repo.commit({name: name})
    repo.git("checkout", "-q", "main")
    repo.git("branch", "integration/r1", "maestro/r1/landed")
    repo.git("update-ref", "refs/maestro/saved/r1/saved", "maestro/r1/saved")
    repo.git("branch", "mine", "maestro/r1/out")
    repo.git("worktree", "add", "-q", str(tmp_path / "out"), "maestro/r1/out")
    gone = ("refs/heads/maestro/r1/landed", "refs/heads/maestro/r1/saved")
    assert prune_branches(git, "r1", dry_run=True) == gone
    assert len(repo.git("branch", "--list", "maestro/*").splitlines()) == 4
    assert prune_branches(git, "r1") == gone
    assert repo.git("branch", "--list", "maestro/*", "--format=%(refname:short)").splitlines() == [
        "maestro/r1/loose",
        "maestro/r1/out",
    ]
