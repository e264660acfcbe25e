"""What cannot start in this run, known before it begins, and why (P-3, P-4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maestro.model.plan import BlockedTask
from maestro.model.task import RUNNABLE, Progress, Task
from maestro.planning.backlog import Backlog
from maestro.planning.graph import topological_order

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
    for name in sorted(topological_order(backlog.graph), key=lambda task: stage.get(task, -1)):
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
    if task.progress in RUNNABLE:
        return None
    return task.id, f"the tracker says {task.progress.value}" if _is_known(task) else _unknown_status(task)


def _dependency_reason(
    backlog: Backlog, name: str, root: Mapping[str, str], landed_elsewhere: Mapping[str, str]
) -> tuple[str, str] | None:
    for needed in backlog.tasks[name].dependencies:
        task = backlog.tasks[needed]
        start = f"depends on {needed!r}"
        if task.progress is Progress.DONE:
            if needed in landed_elsewhere:
                return name, f"{start}: {landed_elsewhere[needed]}"
        elif needed not in backlog.chosen:
            return name, f"{start}, which is not done ({task.progress.value}) and not in the chosen groups"
        elif task.progress not in RUNNABLE:
            known = f"which the tracker says is {task.progress.value}"
            return needed, f"{start}, {known if _is_known(task) else 'for which ' + _unknown_status(task)}"
        elif needed in root:
            because = "" if root[needed] == needed else f" because of {root[needed]!r}"
            return root[needed], f"{start}, which is blocked{because}"
    return None


def _is_known(task: Task) -> bool:
    return task.progress is not Progress.UNKNOWN


def _unknown_status(task: Task) -> str:
    word = task.context.get("status")
    shown = f" ({word!r})" if isinstance(word, str) else ""
    return f"the tracker gives a status that maestro does not know{shown}"
