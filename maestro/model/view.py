"""A run as people look at it: one value that every view renders, live or afterwards."""

from __future__ import annotations

from datetime import datetime

from maestro.model.record import Record
from maestro.model.run import Run, TaskRun
from maestro.model.states import GroupPhase, GroupStatus, RunStatus, TaskState


class TaskView(Record):
    """One task, one line."""

    id: str
    title: str
    state: TaskState
    attempt: int  # 0: none yet
    attempts_allowed: int
    agent: str
    seconds: float | None  # of the attempt under way, or of all of them once it is over
    commit: str | None
    reason: str
    saved_ref: str | None
    suspected: str | None = None  # why its agent seems dead


class GroupView(Record):
    """One group, one line."""

    id: str
    phase: GroupPhase
    status: GroupStatus
    landed: int
    total: int


class RunView(Record):
    """One run at one moment."""

    run_id: str
    status: RunStatus
    reason: str
    base_branch: str
    integration_branch: str
    started_at: datetime
    seconds: float
    max_parallel: int
    counts: dict[TaskState, int]
    tasks: tuple[TaskView, ...]
    groups: tuple[GroupView, ...]
    warnings: tuple[str, ...]
    stopped: str | None  # why nothing new starts
    throttled: str | None = None  # why nothing more starts for now
    sequential: str | None = None  # why it goes on one task at a time


def view_of(run: Run, now: datetime) -> RunView:
    """The view of a run at `now` (at its end, once it has ended)."""
    moment = run.ended_at or now
    tasks = tuple(_task(task, run.start.attempts_allowed, moment) for task in run.tasks.values())
    counts = dict.fromkeys(TaskState, 0)
    for task in tasks:
        counts[task.state] += 1
    groups = tuple(
        GroupView(
            id=group.id,
            phase=group.phase,
            status=group.status,
            landed=sum(run.tasks[task].state is TaskState.LANDED for task in group.tasks),
            total=len(group.tasks),
        )
        for group in run.groups.values()
    )
    return RunView(
        run_id=run.start.run_id,
        status=run.status,
        reason=run.reason,
        base_branch=run.start.base_branch,
        integration_branch=run.branch,
        started_at=run.start.at,
        seconds=max(0.0, (moment - run.start.at).total_seconds()),
        max_parallel=run.start.max_parallel,
        counts=counts,
        tasks=tasks,
        groups=groups,
        warnings=run.warnings,
        stopped=run.stopped,
        throttled=run.throttled if run.status is RunStatus.RUNNING else None,
        sequential=run.sequential,
    )


def _task(task: TaskRun, attempts_allowed: int, moment: datetime) -> TaskView:
    last = task.attempts[-1] if task.attempts else None
    return TaskView(
        id=task.id,
        title=task.title,
        state=task.state,
        attempt=last.number if last else 0,
        attempts_allowed=attempts_allowed,
        agent=last.agent if last else "",
        seconds=_seconds(task, moment),
        commit=task.commit,
        reason=task.reason,
        saved_ref=task.saved_ref,
        suspected=last.suspected if last and task.state is TaskState.RUNNING else None,
    )


def _seconds(task: TaskRun, moment: datetime) -> float | None:
    """Of the last attempt while it runs, of all attempts otherwise; None before the first."""
    if not task.attempts:
        return None
    spans = [((one.ended_at or moment) - one.started_at).total_seconds() for one in task.attempts]
    return max(0.0, spans[-1] if task.state is TaskState.RUNNING else sum(spans))
