"""No more workspaces are made than are worked in at the same time, and none waits for a gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.engine import returning
from maestro.model.events import Landed
from maestro.model.states import RunStatus
from maestro.model.task import Task
from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.workspaces.worktree import WorktreeWorkspaces
from tests.integration.engine_runs import WRITES, EngineRun


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "MOST_SECONDS", 60.0)  # a busy machine may take its time


def test_used_workspaces_are_waited_for(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    real = WorktreeWorkspaces._make

    def make(self: WorktreeWorkspaces, spec: object, repo: Path) -> Git:
        made.append(repo)
        return real(self, spec, repo)  # type: ignore[arg-type]

    monkeypatch.setattr(WorktreeWorkspaces, "_make", make)
    tasks = [Task(id=f"t{number}", title="write") for number in range(10)]
    run = EngineRun(repo, tasks, tmp_path / "ws", max_parallel=2)
    assert run.go(60).status is RunStatus.COMPLETED
    assert sum(isinstance(event, Landed) for event in run.seen.events) == 10
    assert len(made) <= 2


def test_a_gate_is_not_waited_for(repo: Repository, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    gate = f'until [ "$(ls {begun} | wc -l)" = 2 ]; do sleep 0.01; done'
    agent = f'touch {begun}/"$MAESTRO_TASK_ID"; {WRITES}'
    tasks = [Task(id="a", title="write"), Task(id="b", title="write")]
    run = EngineRun(repo, tasks, tmp_path / "ws", max_parallel=1, agent=agent, test_command=gate, test_timeout=50)
    assert run.go(60).status is RunStatus.COMPLETED
