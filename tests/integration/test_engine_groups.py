"""The four phases of a group are recorded in order, whatever its tasks do (E-1, E-3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.model.plan import ScheduleKind
from maestro.model.task import Task
from maestro.testing.repository import Repository
from tests.integration.engine_runs import NO_CHANGE, WRITES, EngineRun, states

PHASES = ["pre_execution", "concurrent_execution", "coordination", "post_execution"]


@pytest.mark.parametrize("agent", [WRITES, NO_CHANGE, "exit 1"])
@pytest.mark.parametrize("schedule", [ScheduleKind.STAGES, ScheduleKind.DATAFLOW])
@pytest.mark.parametrize("parallel", [1, 4])
def test_every_phase_is_recorded_once_and_in_order(
    repo: Repository, tmp_path: Path, agent: str, schedule: ScheduleKind, parallel: int
) -> None:
    tasks = [Task(id=name, group=group) for name, group in (("a", "x"), ("b", "x"), ("c", "y"))]
    run = EngineRun(
        repo, tasks, tmp_path / "ws", agent=agent, schedule=schedule, max_parallel=parallel, attempts=1, keep_going=True
    )
    run.go()
    assert run.seen.phases("x") == PHASES
    assert run.seen.phases("y") == PHASES


def test_a_group_whose_members_are_all_blocked_before_the_start_ends_blocked(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id="a"), Task(id="b", group="x", dependencies=("a",)), Task(id="c", group="x", dependencies=("a",))]
    run = EngineRun(repo, tasks, tmp_path / "ws", agent="exit 1", attempts=1)
    ended = run.go()
    assert states(ended) == {"a": "failed", "b": "blocked", "c": "blocked"}
    assert ended.groups["x"].status == "blocked"
    assert ended.status == "failed"
