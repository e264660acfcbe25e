"""clean on real worktrees: what has landed goes, what has not is kept or saved (W-6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.store.layout import Layout
from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.setup import SetupSpec

Make = Callable[..., Workspace]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAESTRO_WORKSPACE_ROOT", str(tmp_path / "w"))
    return tmp_path / "w"


@pytest.fixture
def make(repo: Repository, root: Path) -> Make:
    """Makes a worktree of a run; `work` is committed in it."""

    def workspace(run_id: str, task: str, work: str = "") -> Workspace:
        kind = open_workspaces("worktree", git=Git(repo.path), root=root / run_id, setup=SetupSpec())
        branch = f"maestro/{run_id}/{task}"
        made = kind.create(
            WorkspaceSpec(run_id=run_id, task_id=task, task_name=task, attempt=1, base=repo.head, branch=branch)
        )
        if work:
            Repository(made.repo).commit({f"{task}.txt": work})
            kind.collect(made, "work")
        return made

    return workspace


def states(said: Any) -> dict[str, tuple[str, bool]]:
    return {one["task"]: (one["state"], one["removed"]) for one in said.json()["workspaces"]}


def test_nothing_there(cli: Any, root: Path) -> None:
    said = cli("clean")
    assert (said.out, said.code) == ("0 workspaces (0 MB) and 0 branches removed.\n", 0)
    assert not root.exists()


def test_one_of_each_is_counted_as_one(cli: Any, make: Make) -> None:
    make("r1", "gone")
    assert cli("clean").out.splitlines()[-1] == "1 workspace (0 MB) and 1 branch removed."


def test_folders_of_others_below_the_root_stay(cli: Any, make: Make, root: Path, layout: Layout) -> None:
    """It may be the user's own folder, or other repositories may have their workspaces there."""
    make("r1", "gone")
    layout.run("r2").mkdir(parents=True)
    for name in ("r2", "r2/.removing-task-a-1", "mine", "mine/.removing-sofa", "r3"):
        (root / name).mkdir()
    assert cli("clean").code == 0
    assert sorted(entry.name for entry in root.iterdir()) == ["mine", "r3"]
    assert (root / "mine" / ".removing-sofa").is_dir()


def test_landed_goes_and_unlanded_stays(cli: Any, make: Make, repo: Repository) -> None:
    kept, gone, merged = make("r1", "kept", "work"), make("r1", "gone"), make("r1", "merged", "work")
    repo.git("merge", "-q", "maestro/r1/merged")
    dry = cli("clean", "--dry-run", "--json")
    expected = {"kept": ("unlanded", False), "gone": ("landed", True), "merged": ("landed", True)}
    assert states(dry) == expected
    assert all(workspace.home.is_dir() for workspace in (kept, gone, merged))
    assert repo.git("branch", "--list", "maestro/r1/merged") != ""
    said = cli("clean", "--json")
    assert (states(said), said.code) == (expected, 0)
    assert [workspace.home.exists() for workspace in (kept, gone, merged)] == [True, False, False]
    assert repo.show("maestro/r1/kept", "kept.txt") == "work"
    assert "refs/heads/maestro/r1/merged" in said.json()["branches"]
    assert repo.git("branch", "--list", "maestro/r1/merged") == ""


def test_force_saves_before_it_removes(cli: Any, make: Make, repo: Repository) -> None:
    workspace = make("r1", "a", "work")
    (workspace.repo / "left.txt").write_text("not committed")
    said = cli("clean", "--force")
    assert said.code == 0
    assert "saved as refs/maestro/saved/r1/a" in said.out
    assert not workspace.home.exists()
    assert repo.show("refs/maestro/saved/r1/a", "a.txt") == "work"
    assert repo.show("refs/maestro/saved/r1/a", "left.txt") == "not committed"


def test_a_live_run_is_left_alone(cli: Any, make: Make, alive: Callable[[str], None]) -> None:
    workspace = make("r1", "a")
    alive("r1")
    assert states(cli("clean", "--force", "--json")) == {"a": ("live", False)}
    assert workspace.home.is_dir()


def test_only_one_run(cli: Any, make: Make) -> None:
    other, gone = make("r1", "a"), make("r2", "b")
    assert list(states(cli("clean", "--run-id", "r2", "--json"))) == ["b"]
    assert (other.home.is_dir(), gone.home.exists()) == (True, False)


def test_squashed_work_counts_as_landed(cli: Any, make: Make, layout: Layout) -> None:
    workspace = make("r1", "a", "work")
    layout.run("r1").mkdir(parents=True)
    task = {"status": "landed", "attempts": 1, "commit": "f" * 40, "reason": ""}
    layout.summary("r1").write_text(json.dumps({"tasks": {"a": task}}))
    assert states(cli("clean", "--json")) == {"a": ("landed", True)}
    assert not workspace.home.exists()


def test_claims_of_dead_runs_are_forgotten(cli: Any, root: Path, layout: Layout, alive: Callable[[str], None]) -> None:
    alive("r2")
    dead = layout.locks / "live" / "r1.json"
    dead.write_text("{}")
    cli("clean", "--dry-run")
    assert dead.exists()
    cli("clean")
    assert [path.name for path in dead.parent.glob("*.json")] == ["r2.json"]
