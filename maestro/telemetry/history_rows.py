"""One run's events folded into the rows of the history. Pure; costs a few microseconds an event."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maestro.clock import as_z
from maestro.model import events as e
from maestro.model.budget import Spent
from maestro.model.events import Event
from maestro.model.gate import TESTS, GatePassed, GateRed, GateUnjudged
from maestro.model.outcome import Failed, Succeeded, Usage, describe
from maestro.model.states import FINAL, RunStatus, TaskState

_ENDS = {
    "task_failed": TaskState.FAILED,
    "task_blocked": TaskState.BLOCKED,
    "task_cancelled": TaskState.CANCELLED,
}

LONGEST_REASON = 1000


class RunRows:
    """Takes the events of a run in their order; `rows` at any moment."""

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        """`kinds`: the kind of each task, as planning names it."""
        self._kinds = kinds or {}
        self._start: e.RunStarted | None = None
        self._last: datetime | None = None
        self._wall_seconds = 0.0
        self._ended: e.RunEnded | None = None
        self._sequential: str | None = None
        self._resumed = 0
        self._rolled_back = 0
        self._tasks: dict[str, dict[str, Any]] = {}
        self._attempts: defaultdict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self._spent = Spent()
        self._beside: list[tuple[datetime, str, float | None, int | None]] = []  # asked of models by maestro itself
        self._landings: list[list[Any]] = []
        self._gates: list[tuple[Any, ...]] = []
        self._gate_began: dict[tuple[str, tuple[str, ...]], datetime] = {}
        self._gate_waited = 0.0  # of the gate under way, for its resource
        self._waits: list[tuple[Any, ...]] = []

    @property
    def run_id(self) -> str | None:
        """Whose events they are; None before the first."""
        return self._start.run_id if self._start is not None else None

    @property
    def has_ended(self) -> bool:
        """Whether the last word on the run was its end."""
        return self._ended is not None

    def take(self, event: Event) -> None:
        """Fold one event."""
        is_taken_up = isinstance(event, e.RunResumed | e.RollingBack)
        if self._last is not None and self._ended is None and not is_taken_up:  # else nobody worked on it meanwhile
            self._wall_seconds += (event.at - self._last).total_seconds()
        self._last = event.at
        match event:
            case e.RunStarted():
                self._begin(event)
            case e.RunEnded():
                self._ended = event
            case e.AttemptStarting() | e.AttemptEnded():
                self._attempt(event)
            case e.Landed() | e.TaskFailed() | e.TaskBlocked() | e.TaskCancelled() | e.TaskRequeued():
                self._settled(event)
            case e.ConflictSeen():
                self._tasks[event.task]["conflicts"] += 1
            case e.GateStarted():
                self._gate_began[event.commit, event.tasks] = event.at
            case e.GateEnded():
                self._judged(event)
            case _:
                self._seldom(event)

    def _seldom(self, event: Event) -> None:
        match event:
            case e.WentSequential():
                self._sequential = event.reason
            case e.ModelUsed():
                self._beside.append((event.at, event.asked_for, *self._counted(event.usage)))
            case e.ResourceTaken() | e.AttemptTested():
                self._waited(event)
            case e.RollingBack():
                self._undo(event)
            case e.RunResumed():
                self._resumed += 1
                self._reopened(event.reopened)
            case _:
                pass

    def _begin(self, event: e.RunStarted) -> None:
        self._start = event
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for group, members in event.groups.items():
            for member in members:
                groups[member].append(group)
        self._tasks = {
            task: {
                "title": event.titles.get(task, ""), "groups": ",".join(groups[task]), "state": TaskState.PENDING,
                "reason": "", "retries": 0, "conflicts": 0, "started_at": None, "ended_at": None, "commit": None,
                "saved_ref": None,
            }
            for task in event.tasks
        }  # fmt: skip

    def _attempt(self, event: e.AttemptStarting | e.AttemptEnded) -> None:
        task = self._tasks[event.task]
        if isinstance(event, e.AttemptStarting):
            task |= {"state": TaskState.RUNNING, "reason": "", "started_at": task["started_at"] or event.at}
            self._attempts[event.task][event.attempt] = {
                "agent": event.agent, "subagent": event.subagent, "outcome": "", "reason": "", "started_at": event.at,
                "ended_at": None, "seconds": None, "spent": (None, None),
            }  # fmt: skip
            return
        outcome = event.outcome
        word = f"failed: {outcome.failure}" if isinstance(outcome, Failed) else outcome.kind
        self._attempts[event.task][event.attempt] |= {
            "outcome": word, "reason": describe(outcome)[:LONGEST_REASON], "ended_at": event.at,
            "seconds": event.seconds, "spent": self._counted(outcome.usage),
        }  # fmt: skip
        if isinstance(outcome, Succeeded) and not outcome.no_change:
            task["state"] = TaskState.SUBMITTED

    def _counted(self, usage: Usage) -> tuple[float | None, int | None]:
        """US dollars and tokens, without what earlier attempts in the same conversation have told already."""
        new = self._spent.new_in(usage)
        self._spent = self._spent.plus(usage)
        return new

    def _settled(self, event: e.Landed | e.TaskFailed | e.TaskBlocked | e.TaskCancelled | e.TaskRequeued) -> None:
        task = self._tasks[event.task]
        if isinstance(event, e.TaskRequeued):
            task |= {"state": TaskState.PENDING, "reason": event.reason[:LONGEST_REASON]}
            task["retries"] += 1
            return
        task["ended_at"] = event.at
        if isinstance(event, e.Landed):
            task |= {"state": TaskState.LANDED, "reason": event.remark[:LONGEST_REASON], "commit": event.commit}
            self._landings.append([as_z(event.at), event.task, event.commit, event.branch, None])
            return
        task |= {"state": _ENDS[event.type], "reason": event.reason[:LONGEST_REASON], "saved_ref": event.saved_ref}

    def _waited(self, event: e.ResourceTaken | e.AttemptTested) -> None:
        """For a resource; what an agent waited for the tests is told with their results."""
        name = event.resource if isinstance(event, e.ResourceTaken) else TESTS
        self._waits.append((as_z(event.at), name, event.task, event.waited_seconds))
        if event.task is None:
            self._gate_waited += event.waited_seconds

    def _judged(self, event: e.GateEnded) -> None:
        result = event.result
        began = self._gate_began.pop((event.commit, event.tasks), None)
        totals = result.totals if isinstance(result, GatePassed | GateRed) else None
        seconds = getattr(result, "seconds", None)
        if began is not None:
            seconds = max(0.0, (event.at - began).total_seconds() - self._gate_waited)
        self._gate_waited = 0.0
        word = f"unjudged: {result.why}" if isinstance(result, GateUnjudged) else result.kind
        counts = (totals.passed, totals.failed) if totals is not None else (None, None)
        self._gates.append((as_z(event.at), event.commit, json.dumps(event.tasks), word, seconds, *counts))

    def _undo(self, event: e.RollingBack) -> None:
        self._rolled_back += 1
        why = f"rolled back to {event.checkpoint}"
        for task in event.tasks:
            self._tasks[task] |= {"state": TaskState.PENDING, "reason": why, "commit": None, "ended_at": None}
        for landing in self._landings:
            if landing[1] in event.tasks and landing[-1] is None:
                landing[-1] = as_z(event.at)
        self._ended = e.RunEnded(at=event.at, status=RunStatus.INTERRUPTED, reason=why)

    def _reopened(self, tasks: tuple[str, ...]) -> None:
        self._ended = None
        for task in tasks:
            if task in self._tasks:
                self._tasks[task] |= {"state": TaskState.PENDING, "reason": "", "saved_ref": None, "ended_at": None}

    # -- rows -------------------------------------------------------------------------------------------------

    def rows(self, *, is_dead: bool = False, why_dead: str = "", journal_bytes: int = 0) -> dict[str, list[Any]]:
        """The rows of all tables. `is_dead`: nobody will end it any more, so it is interrupted."""
        start = self._start
        if start is None:
            return {}
        run_id = start.run_id
        return {
            "runs": [self._run_row(start, is_dead, why_dead, journal_bytes)],
            "tasks": [self._task_row(run_id, task) for task in self._tasks],
            "attempts": [
                _attempt_row(run_id, task, number, one)
                for task, ones in self._attempts.items()
                for number, one in ones.items()
            ],
            "landings": [(run_id, number, *landing) for number, landing in enumerate(self._landings, 1)],
            "gates": [(run_id, number, *gate) for number, gate in enumerate(self._gates, 1)],
            "waits": [(run_id, number, *wait) for number, wait in enumerate(self._waits, 1)],
            "spend": self._spend_rows(run_id),
        }

    def _run_row(self, start: e.RunStarted, is_dead: bool, why_dead: str, journal_bytes: int) -> tuple[Any, ...]:
        status, reason = (self._ended.status.value, self._ended.reason) if self._ended is not None else ("running", "")
        if self._ended is None and is_dead:
            status, reason = "interrupted", why_dead
        states = [task["state"] for task in self._tasks.values()]
        attempts = self._all_attempts()
        cost, tokens = _sum_of(self._spent.cost_usd), self._spent.tokens
        return (
            start.run_id, status, reason, as_z(start.at), as_z(self._ended.at) if self._ended else None,
            round(self._wall_seconds, 3), start.tracker, start.schedule, start.base, start.base_branch,
            start.integration_branch, start.max_parallel, len(states),
            *(states.count(state) for state in TaskState if state in FINAL), len(attempts),
            sum(task["retries"] for task in self._tasks.values()),
            sum(task["conflicts"] for task in self._tasks.values()), len(self._gates), cost, tokens, self._sequential,
            self._resumed, self._rolled_back, start.maestro_version, journal_bytes,
        )  # fmt: skip

    def _task_row(self, run_id: str, name: str) -> tuple[Any, ...]:
        task = self._tasks[name]
        mine = list(self._attempts[name].values()) if name in self._attempts else []
        spans = [one["seconds"] or 0.0 for one in mine]
        return (
            run_id, name, task["title"], self._kinds.get(name, ""), task["groups"], task["state"].value, task["reason"],
            len(mine), task["retries"], task["conflicts"], round(sum(spans), 3) if spans else None,
            _z(task["started_at"]), _z(task["ended_at"]), task["commit"], task["saved_ref"],
            _sum_of(*(one["spent"][0] for one in mine)),
        )  # fmt: skip

    def _all_attempts(self) -> list[dict[str, Any]]:
        return [one for ones in self._attempts.values() for one in ones.values()]

    def _spend_rows(self, run_id: str) -> list[tuple[Any, ...]]:
        """What each agent took on each day (UTC), by the day on which an attempt ended."""
        found: defaultdict[tuple[str, str], list[tuple[int, float, float | None, int | None]]] = defaultdict(list)
        for one in self._all_attempts():
            if one["ended_at"] is not None:
                found[as_z(one["ended_at"])[:10], one["agent"]].append((1, one["seconds"], *one["spent"]))
        for at, asked_for, cost, tokens in self._beside:
            found[as_z(at)[:10], asked_for].append((0, 0.0, cost, tokens))
        return [
            (run_id, day, agent, *(_sum_of(*column) for column in zip(*ones, strict=True)))
            for (day, agent), ones in sorted(found.items())
        ]


def _attempt_row(run_id: str, task: str, number: int, one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        run_id, task, number, one["agent"], one["subagent"], one["outcome"], one["reason"], _z(one["started_at"]),
        _z(one["ended_at"]), one["seconds"], *one["spent"],
    )  # fmt: skip


def _sum_of(*values: Any) -> Any:
    """Of what was told; None where nothing was."""
    told = [value for value in values if value is not None]
    return round(sum(told), 6) if told else None


def _z(moment: datetime | None) -> str | None:
    return as_z(moment) if moment is not None else None
