"""What cannot start in this run, known before it begins, and why (P-3, P-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maestro.model.plan import BlockedTask
from maestro.model.task import Progress, Task
from maestro.planning.backlog import Backlog

LEFT_OUT = frozenset({Progress.DEFERRED, Progress.CANCELLED})
"""Taken out by the user's own word: no barrier waits for them, though their dependants do."""


def find_blocked(
    backlog: Backlog, stages: Sequence[Sequence[str]], landed_elsewhere: Mapping[str, str], *, keep_going: bool
) -> tuple[BlockedTask, ...]:
    """Blocked tasks in given order: set aside by the tracker, behind something that will not land, or past a barrier.

    A task that stands before a barrier and cannot land blocks all that stands after it, as a failed one would, unless
    `keep_going`.
    """
    stage = {task: number for number, members in enumerate(stages) for task in members}
    root: dict[str, str] = {}  # blocked task → the one it all comes from
    reasons: dict[str, str] = {}
    barrier: str | None = None  # first blocked task of the stages before
    found: str | None = None  # first blocked task up to here
    at = -1
    for name in sorted(backlog.order, key=lambda task: stage.get(task, -1)):
        if stage.get(name, -1) > at:
            at, barrier = stage[name], found
        cause = _own_reason(backlog.tasks[name]) or _dependency_reason(backlog, name, root, landed_elsewhere)
        if cause is None and barrier is not None and not keep_going:
            cause = (root[barrier], f"stands after {barrier!r}, which is blocked")
        if cause is None:
            continue
        root[name], reasons[name] = cause
        if name in stage:
            found = found or name
    return tuple(BlockedTask(task=name, reason=reasons[name]) for name in backlog.chosen if name in reasons)


def _own_reason(task: Task) -> tuple[str, str] | None:
    if task.is_runnable:
        return None
    if task.set_aside:
        return task.id, f"it {task.set_aside}"
    if task.progress is Progress.UNKNOWN:
        return task.id, f"it {_status(task)}"
    return task.id, f"the tracker says {task.progress.value}"


def _dependency_reason(
    backlog: Backlog, name: str, root: Mapping[str, str], landed_elsewhere: Mapping[str, str]
) -> tuple[str, str] | None:
    within = backlog.graph[name]
    for needed in within:
        if needed in root:
            return root[needed], f"depends on {needed!r}, {_why_blocked(backlog.tasks[needed], root[needed])}"
    dependencies = backlog.tasks[name].dependencies
    if len(dependencies) == len(within):
        return None
    for needed in dependencies:
        task = backlog.tasks[needed]
        if task.progress is not Progress.DONE and needed not in backlog.chosen:
            state = "is not done" if task.is_runnable else _status(task)
            return name, f"depends on {needed!r}, which is not {backlog.chosen_in_words} and {state}"
        if task.progress is Progress.DONE and needed in landed_elsewhere:
            return name, f"depends on {needed!r}: {landed_elsewhere[needed]}"
    return None


def _why_blocked(task: Task, root: str) -> str:
    if not task.is_runnable:
        return f"which {_status(task)}"
    return "which is blocked" if root == task.id else f"which is blocked because of {root!r}"


def _status(task: Task) -> str:
    """The tracker's word for a task that is not to be run, as the end of "which …"."""
    if task.set_aside:
        return task.set_aside
    if task.progress is not Progress.UNKNOWN:
        return f"the tracker says is {task.progress.value}"
    word = task.context.get("status")
    shown = f" ({word!r})" if isinstance(word, str) else ""
    return f"has a status{shown} that maestro does not know"
