"""Git 2.39 fails now and then when worktrees are added and removed at once; under maestro it does not (E-8)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.registry import open_workspaces

PAIRS = 2000
THREADS = 16


@pytest.mark.timeout(900)
def test_two_thousand_pairs_of_add_and_remove_without_one_failure(repo: Repository, tmp_path: Path) -> None:
    base = repo.head
    # two runs in one repository, so that the lock is tried from more than one object
    sites = [open_workspaces("worktree", git=open_repository(repo.path), root=tmp_path / "root" / run) for run in "ab"]

    def pair(number: int) -> None:
        name, workspaces = f"t{number}", sites[number % 2]
        spec = WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=base, branch=f"maestro/r/{name}")
        workspace = workspaces.create(spec)
        assert (workspace.repo / "README.md").is_file()
        workspaces.remove(workspace)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(pair, range(PAIRS)):
            pass
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert len(repo.git("branch", "--list", "maestro/*").splitlines()) == PAIRS
    assert not list((repo.path / ".git").glob("worktrees/*"))
