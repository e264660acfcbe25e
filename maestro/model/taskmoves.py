"""What an event makes of one task: pure, task by task. Moves that the table of states does not allow are refused."""

from __future__ import annotations

from typing import Any

from maestro.model.events import (
    AttemptEnded,
    AttemptSpawned,
    AttemptStarting,
    AttemptSuspected,
    AttemptTested,
    Landed,
    TaskBlocked,
    TaskCancelled,
    TaskFailed,
    TaskRequeued,
)
from maestro.model.outcome import Succeeded
from maestro.model.run import Attempt, TaskRun
from maestro.model.states import TaskState, check_move

AttemptEvent = AttemptStarting | AttemptSpawned | AttemptSuspected | AttemptTested | AttemptEnded
Answer = TaskRequeued | Landed | TaskFailed | TaskBlocked | TaskCancelled
"""What follows an attempt, or keeps a task from one."""


def moved(task: TaskRun, to: TaskState, **changes: Any) -> TaskRun:
    """The task one legal move on."""
    check_move(task.id, task.history, to)
    return task.model_copy(update={"history": (*task.history, to), **changes})


def attempted(task: TaskRun, event: AttemptEvent) -> TaskRun:
    """The task after something was heard of an attempt at it."""
    match event:
        case AttemptStarting():
            return moved(task, TaskState.RUNNING, attempts=(*task.attempts, _begun(event)), reason="")
        case AttemptSpawned():
            return _with_last(task, pid=event.pid, pid_started=event.pid_started)
        case AttemptSuspected():
            return _with_last(task, suspected=event.reason)
        case AttemptTested():
            return task.model_copy(update={"tested": (*task.tested, event)})
        case AttemptEnded():
            peak = event.peak_memory_bytes
            task = _with_last(task, ended_at=event.at, outcome=event.outcome, suspected=None, peak_memory_bytes=peak)
            if isinstance(event.outcome, Succeeded) and not event.outcome.no_change:
                return moved(task, TaskState.SUBMITTED)
            return task  # what follows is the policy's word: requeued, failed, blocked, cancelled or landed


def answered(task: TaskRun, event: Answer) -> TaskRun:
    """The task after what follows its attempt was decided."""
    match event:
        case TaskRequeued():
            return moved(task, TaskState.PENDING, reason=event.reason)
        case Landed():
            return moved(task, TaskState.LANDED, commit=event.commit, ended_at=event.at, reason=event.remark)
        case TaskFailed():
            to = TaskState.FAILED
        case TaskBlocked():
            to = TaskState.BLOCKED
        case TaskCancelled():
            to = TaskState.CANCELLED
    return moved(task, to, reason=event.reason, saved_ref=event.saved_ref, ended_at=event.at)


def reopened(task: TaskRun) -> TaskRun:
    """The task of an ended run that is resumed."""
    return moved(task, TaskState.PENDING, reason="", saved_ref=None, ended_at=None)


def put_back(task: TaskRun, why: str) -> TaskRun:
    """The task of a run that is rolled back to before it landed."""
    if task.state is TaskState.PENDING:
        return task
    return moved(task, TaskState.PENDING, commit=None, ended_at=None, reason=why)


def _begun(event: AttemptStarting) -> Attempt:
    return Attempt(
        number=event.attempt,
        attempt_id=event.attempt_id,
        agent=event.agent,
        subagent=event.subagent,
        skills=event.skills,
        base=event.base,
        branch=event.branch,
        workspace=event.workspace,
        started_at=event.at,
    )


def _with_last(task: TaskRun, **changes: Any) -> TaskRun:
    last = task.attempts[-1].model_copy(update=changes)
    return task.model_copy(update={"attempts": (*task.attempts[:-1], last)})
