"""One short run as events, for the tests of everything that folds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from maestro.model import events as e
from maestro.model.conflict import Conflict
from maestro.model.gate import GatePassed, GateRed
from maestro.model.outcome import Failed, FailureKind, Succeeded, Usage
from maestro.model.states import GroupPhase, GroupStatus, RunStatus

START = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def started(**changes: Any) -> e.RunStarted:
    values: dict[str, Any] = {
        "at": at(0),
        "run_id": "r1",
        "maestro_version": "0.1.0",
        "repository": "/repo",
        "base": "0" * 40,
        "base_branch": "main",
        "integration_branch": "integration/r1",
        "tracker": "taskfile:t.json",
        "schedule": "stages",
        "max_parallel": 2,
        "max_parallel_reason": "as you said",
        "tasks": ("a", "b", "c"),
        "titles": {"a": "First", "b": "Second"},
        "dependencies": {"c": ("b",)},
        "groups": {"X": ("a", "b"), "Y": ("c",)},
        "levels": (("a", "b"), ("c",)),
        "attempts_allowed": 2,
    }
    return e.RunStarted(**{**values, **changes})


def starting(task: str, attempt: int, second: float, **changes: Any) -> e.AttemptStarting:
    return e.AttemptStarting(
        at=at(second),
        task=task,
        attempt=attempt,
        attempt_id=f"r1/{task}/{attempt}",
        agent="claude",
        base="0" * 40,
        workspace=f"/w/task-{task}",
        branch=f"maestro/r1/{task}",
        **changes,
    )


def ended(task: str, attempt: int, second: float, outcome: Any, seconds: float) -> e.AttemptEnded:
    return e.AttemptEnded(
        at=at(second), task=task, attempt=attempt, attempt_id=f"r1/{task}/{attempt}", outcome=outcome, seconds=seconds
    )


def group(name: str, second: float, phase: GroupPhase, status: GroupStatus, **changes: Any) -> e.GroupMoved:
    return e.GroupMoved(at=at(second), group=name, phase=phase, status=status, **changes)


DONE = Succeeded(commit="a" * 40, usage=Usage(cost_usd=0.25, input_tokens=100, output_tokens=20))
RED = Failed(failure=FailureKind.EXIT, reason="exit code 3", usage=Usage(cost_usd=0.5))

STORY: tuple[e.Event, ...] = (
    started(),
    group("X", 1, GroupPhase.PRE_EXECUTION, GroupStatus.IN_PROGRESS),
    group("X", 2, GroupPhase.CONCURRENT_EXECUTION, GroupStatus.IN_PROGRESS, refreshed=True),
    starting("a", 1, 2, subagent="backend-architect", skills=("tdd",)),
    e.AttemptSpawned(at=at(2), task="a", attempt_id="r1/a/1", pid=42, pid_started=1.5),
    starting("b", 1, 2),
    e.AttemptNoted(at=at(3), task="a", attempt_id="r1/a/1", note="permission\nto \x1b[2Jwrite denied"),
    ended("a", 1, 12, DONE, 10),
    ended("b", 1, 14, RED, 12),
    e.TaskRequeued(at=at(14), task="b", reason="exit code 3", delay_seconds=2),
    e.GateStarted(at=at(14), commit="f" * 40, tasks=("a",), command="pytest"),
    e.GateEnded(at=at(16), commit="f" * 40, tasks=("a",), result=GatePassed(seconds=2)),
    e.Landing(
        at=at(16), branch="integration/r1", expected="0" * 40, new_tip="f" * 40, tasks=("a",), commits=("f" * 40,)
    ),
    e.Landed(at=at(16), task="a", commit="f" * 40, branch="integration/r1"),
    starting("b", 2, 17),
    ended("b", 2, 20, DONE, 3),
    e.ConflictSeen(
        at=at(20), task="b", conflict=Conflict(paths=("m.py",), ours="f" * 40, theirs="a" * 40, base="0" * 40)
    ),
    e.GateStarted(at=at(20), commit="e" * 40, tasks=("b",), command="pytest"),
    e.GateEnded(at=at(21), commit="e" * 40, tasks=("b",), result=GateRed(seconds=1, failing=("t1", "t2", "t3", "t4"))),
    e.TaskFailed(at=at(21), task="b", reason="conflict in m.py", saved_ref="refs/maestro/saved/r1/b"),
    e.TaskBlocked(at=at(21), task="c", reason="b failed"),
    group("X", 21, GroupPhase.POST_EXECUTION, GroupStatus.IN_PROGRESS),
    group("X", 22, GroupPhase.POST_EXECUTION, GroupStatus.FAILED, errors=("b: conflict in m.py",)),
    group("Y", 22, GroupPhase.POST_EXECUTION, GroupStatus.BLOCKED, errors=("c: b failed",)),
    e.RunEnded(at=at(24), status=RunStatus.FAILED),
)
