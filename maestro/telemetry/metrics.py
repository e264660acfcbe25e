"""What a run cost and what it gained: a fold of its events into the `metrics` of its result (C-1a, O-3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from maestro.model.budget import Spent
from maestro.model.events import (
    AccountHeld,
    AccountReleased,
    AttemptEnded,
    AttemptStarting,
    AttemptTested,
    ConflictSeen,
    DispatchStopped,
    Event,
    GateEnded,
    GateStarted,
    Landed,
    ModelUsed,
    ResourceTaken,
    RunStarted,
    TaskBlocked,
    TaskCancelled,
    TaskFailed,
    TaskRequeued,
    Throttled,
)
from maestro.model.gate import TESTS, TestTotals
from maestro.model.outcome import LimitHit


class Metrics:
    """An Observer; `values` at any moment. Seconds are wall time."""

    def __init__(self) -> None:
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._level_of: dict[str, int] = {}
        self._level_spans: dict[int, tuple[datetime, datetime]] = {}
        self._theoretical: float | None = None
        self._attempts = 0
        self._attempt_seconds = 0.0
        self._requeued = 0
        self._conflicts = 0
        self._gates = 0
        self._gate_seconds = 0.0
        self._gate_started: dict[tuple[str, tuple[str, ...]], datetime] = {}
        self._landed = 0
        self._spent = Spent()
        self._peak_memory: int | None = None
        self._throttled_since: datetime | None = None
        self._throttled_seconds = 0.0
        self._limits = 0
        self._held_since: dict[str, datetime] = {}
        self._held_seconds = 0.0
        self._resource_waits: dict[str, list[float]] = {}
        self._gate_waited = 0.0  # of the gate under way, for its resource
        self._test_runs = 0
        self._tested: dict[str, TestTotals] = {}  # task → what its agents' last tests said

    def notify(self, event: Event) -> None:
        """Fold one event."""
        if self._first is None:
            self._first = event.at
        self._last = event.at
        match event:
            case RunStarted():
                self._start(event)
            case AttemptStarting():
                self._attempts += 1
                self._reach(event.task, event.at)
            case AttemptEnded():
                self._end(event)
            case AccountHeld() | AccountReleased() | Throttled() | DispatchStopped():
                self._wait(event)
            case ResourceTaken() | AttemptTested():
                self._resource(event)
            case ModelUsed():
                self._spent = self._spent.plus(event.usage, worked=False)
            case TaskRequeued() | ConflictSeen():
                self._requeued += isinstance(event, TaskRequeued)
                self._conflicts += isinstance(event, ConflictSeen)
            case GateStarted():
                self._gate_started[event.commit, event.tasks] = event.at
            case GateEnded():
                self._judge(event)
            case Landed() | TaskFailed() | TaskBlocked() | TaskCancelled():
                self._landed += isinstance(event, Landed)
                self._reach(event.task, event.at, start=False)

    def close(self) -> None:
        """Nothing is held."""

    def values(self) -> dict[str, Any]:
        """The metrics so far; costs are None where no agent told them."""
        wall = (self._last - self._first).total_seconds() if self._first and self._last else 0.0
        return {
            "wall_seconds": round(wall, 3),
            "level_seconds": [
                round((self._level_spans[level][1] - self._level_spans[level][0]).total_seconds(), 3)
                for level in sorted(self._level_spans)
            ],
            "attempt_seconds": round(self._attempt_seconds, 3),
            "actual_speedup": round(self._attempt_seconds / wall, 2) if wall > 0 else None,
            "theoretical_speedup": self._theoretical,
            "attempts": self._attempts,
            "requeued": self._requeued,
            "conflicts": self._conflicts,
            "landed": self._landed,
            "gates": self._gates,
            "gate_seconds": round(self._gate_seconds, 3),
            "cost_usd": None if self._spent.cost_usd is None else round(self._spent.cost_usd, 6),
            "tokens": self._spent.tokens,
            "peak_memory_bytes": self._peak_memory,
            "throttled_seconds": round(self._throttled_seconds, 3),
            "limits": self._limits,
            "held_seconds": round(self._held_seconds + self._still_held(), 3),
            "resource_waits": {name: _waits(self._resource_waits[name]) for name in sorted(self._resource_waits)},
            "agent_tests": self._agent_tests(),
        }

    def _start(self, event: RunStarted) -> None:
        self._level_of = {task: number for number, level in enumerate(event.levels) for task in level}
        if event.levels:
            self._theoretical = round(len(self._level_of) / len(event.levels), 2)

    def _end(self, event: AttemptEnded) -> None:
        self._attempt_seconds += event.seconds
        self._limits += isinstance(event.outcome, LimitHit)
        if event.peak_memory_bytes is not None:
            self._peak_memory = max(self._peak_memory or 0, event.peak_memory_bytes)
        self._spent = self._spent.plus(event.outcome.usage)

    def _wait(self, event: AccountHeld | AccountReleased | Throttled | DispatchStopped) -> None:
        match event:
            case AccountHeld():
                self._held_since.setdefault(event.account, event.at)
            case AccountReleased():
                self._held_seconds += _seconds(self._held_since.pop(event.account, event.at), event.at)
            case Throttled() | DispatchStopped():
                self._throttle(event)

    def _still_held(self) -> float:
        return sum(_seconds(since, self._last or since) for since in self._held_since.values())

    def _throttle(self, event: Throttled | DispatchStopped) -> None:
        if self._throttled_since is not None:
            self._throttled_seconds += (event.at - self._throttled_since).total_seconds()
        waits = isinstance(event, Throttled) and event.reason is not None
        self._throttled_since = event.at if waits else None

    def _resource(self, event: ResourceTaken | AttemptTested) -> None:
        """How long was waited; what an agent waited for the tests is told with their results."""
        name = event.resource if isinstance(event, ResourceTaken) else TESTS
        self._resource_waits.setdefault(name, []).append(event.waited_seconds)
        if isinstance(event, AttemptTested):
            self._test_runs += 1
            self._tested[event.task] = event.totals or TestTotals()
        elif event.task is None:
            self._gate_waited += event.waited_seconds

    def _agent_tests(self) -> dict[str, int]:
        """How often agents tested, and the last results of each task together (M-6)."""
        last = self._tested.values()
        return {
            "runs": self._test_runs,
            "passed": sum(one.passed for one in last),
            "failed": sum(one.failed for one in last),
            "skipped": sum(one.skipped for one in last),
        }

    def _judge(self, event: GateEnded) -> None:
        started = self._gate_started.pop((event.commit, event.tasks), None)
        self._gates += 1
        if started is not None:
            self._gate_seconds += max(0.0, (event.at - started).total_seconds() - self._gate_waited)
        self._gate_waited = 0.0

    def _reach(self, task: str, at: datetime, *, start: bool = True) -> None:
        """A level lasts from its first attempt to the end of its last task."""
        level = self._level_of.get(task)
        if level is None or (not start and level not in self._level_spans):
            return
        first, last = self._level_spans.get(level, (at, at))
        self._level_spans[level] = (first, max(last, at))


def _waits(seconds: Sequence[float]) -> dict[str, float]:
    return {"taken": len(seconds), "seconds": round(sum(seconds), 3), "longest_seconds": round(max(seconds), 3)}


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
