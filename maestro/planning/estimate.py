"""How long a task may take, and with it the whole plan (P-5, P-7)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from maestro.model.plan import Plan
from maestro.model.task import Task
from maestro.planning.schedule import Dispatcher


def kind_of(task: Task) -> str:
    """The kind under which history is gathered: role, else subagent, else `task`."""
    return task.role or task.subagent_type or "task"


def minutes_of(task: Task, history_minutes: Mapping[str, float]) -> float | None:
    """The task's estimate, else the history of its kind; None where neither is a usable number."""
    for minutes in (task.estimate_minutes, history_minutes.get(kind_of(task)) if history_minutes else None):
        if minutes is not None and 0 <= minutes < float("inf"):
            return minutes
    return None


def known_minutes(tasks: Iterable[Task], history_minutes: Mapping[str, float]) -> dict[str, float]:
    """`minutes_of` for the tasks that have any."""
    return {task.id: minutes for task in tasks if (minutes := minutes_of(task, history_minutes)) is not None}


def predict(plan: Plan, known: Mapping[str, float]) -> tuple[float, float] | None:
    """Minutes one task after the other, and with no limit on agents (shared files and barriers still hold).

    None where nothing is known of any task. A task of which nothing is known takes the mean of the others.
    """
    if not known:
        return None
    mean = sum(known.values()) / len(known)
    lasts = {task: known.get(task, mean) for wave in plan.levels for task in wave}
    return sum(lasts.values()), _simulate(Dispatcher(plan, keep_going=True), lasts)


def _simulate(dispatcher: Dispatcher, lasts: Mapping[str, float]) -> float:
    """List scheduling (Graham, 1969) with as many workers as there are tasks."""
    now = 0.0
    ends: list[tuple[float, str]] = []
    while not dispatcher.is_over:
        for task in dispatcher.ready():
            if dispatcher.may_start(task):
                dispatcher.start(task)
                heapq.heappush(ends, (now + lasts[task], task))
        now, task = heapq.heappop(ends)
        dispatcher.landed(task)
        while ends and ends[0][0] == now:
            dispatcher.landed(heapq.heappop(ends)[1])
    return now
