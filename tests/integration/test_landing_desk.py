"""However a run ends, no workspace waits for a task any more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from maestro.engine.context import RunContext
from maestro.engine.landing import LandingDesk
from maestro.integration.verdicts import LandingVerdict
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.registry import open_workspaces


async def nowhere(verdict: LandingVerdict) -> None:
    raise AssertionError(verdict)


@pytest.mark.parametrize("end", ["clear_away", "abandon"])
def test_waiting_workspaces_go_with_the_run(end: str, repo: Repository, tmp_path: Path) -> None:
    git = open_repository(repo.path)
    both = [open_workspaces("worktree", git=git, root=tmp_path / "root" / name, parked=2) for name in "ab"]
    for number, workspaces in enumerate(both):
        spec = WorkspaceSpec(
            run_id="r", task_id="t", task_name="t", attempt=1, base=repo.head, branch=f"maestro/r/t{number}"
        )
        workspaces.remove(workspaces.create(spec))
    assert len(repo.git("worktree", "list").splitlines()) == 3
    options = SimpleNamespace(gate=None, max_parallel=1)
    context = SimpleNamespace(options=options, workspaces=both[0], gate_workspaces=both[1])
    desk = LandingDesk(cast(RunContext, context), nowhere)

    asyncio.run(getattr(desk, end)())

    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
