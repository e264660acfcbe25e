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
    for minutes in (task.estimate_minutes, history_minutes.get(kind_of(task))):
        if minutes is not None and 0 <= minutes < float("inf"):
            return minutes
    return None


def weights_of(tasks: Iterable[Task], history_minutes: Mapping[str, float]) -> dict[str, float]:
    """What each task weighs in the longest remaining path: its minutes, else 1 (P-5)."""
    weights = {}
    for task in tasks:
        minutes = minutes_of(task, history_minutes)
        weights[task.id] = 1.0 if minutes is None else minutes
    return weights


def predict(plan: Plan, history_minutes: Mapping[str, float]) -> tuple[float, float] | None:
    """Minutes one task after the other, and with no limit on agents (shared files and barriers still hold).

    None where nothing is known of any task. A task of which nothing is known takes the mean of the others.
    """
    running = [task for wave in plan.levels for task in wave]
    minutes = {task: minutes_of(plan.tasks[task], history_minutes) for task in running}
    known = [value for value in minutes.values() if value is not None]
    if not known:
        return None
    mean = sum(known) / len(known)
    lasts = {task: mean if value is None else value for task, value in minutes.items()}
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
