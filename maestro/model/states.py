"""States of tasks and groups, with the legal moves as one table."""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands in a run."""

    PENDING = "pending"  # waits for dependencies, a slot or a file
    RUNNING = "running"  # an attempt is under way
    SUBMITTED = "submitted"  # commits exist and were judged; waits for landing
    LANDED = "landed"  # on the integration branch, gates passed
    FAILED = "failed"  # no attempts left
    BLOCKED = "blocked"  # something it needs did not land
    CANCELLED = "cancelled"  # the run was stopped before it ended


FINAL = frozenset({TaskState.LANDED, TaskState.FAILED, TaskState.BLOCKED, TaskState.CANCELLED})
ACTIVE = frozenset({TaskState.RUNNING, TaskState.SUBMITTED})

MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.RUNNING, TaskState.BLOCKED, TaskState.CANCELLED}),
    TaskState.RUNNING: frozenset(
        {
            TaskState.SUBMITTED,
            TaskState.LANDED,  # an explicit no_change
            TaskState.PENDING,  # another attempt
            TaskState.FAILED,
            TaskState.BLOCKED,  # the agent says it is blocked
            TaskState.CANCELLED,
        }
    ),
    TaskState.SUBMITTED: frozenset(
        {
            TaskState.LANDED,
            TaskState.PENDING,  # sent back: a conflict or a red gate
            TaskState.FAILED,
            TaskState.BLOCKED,  # the gate itself could not judge, or somebody else took the task
            TaskState.CANCELLED,
        }
    ),
    TaskState.LANDED: frozenset({TaskState.PENDING}),  # rolled back (E-9)
    # a resume of the run opens them again
    TaskState.FAILED: frozenset({TaskState.PENDING}),
    TaskState.BLOCKED: frozenset({TaskState.PENDING}),
    TaskState.CANCELLED: frozenset({TaskState.PENDING}),
}


class IllegalMove(Exception):
    """A bug in maestro: a task was moved where the table does not allow it."""

    def __init__(self, task: str, history: tuple[TaskState, ...], to: TaskState) -> None:
        path = " → ".join(history)
        super().__init__(f"task {task!r}: {path} → {to} is not a legal move")


def check_move(task: str, history: tuple[TaskState, ...], to: TaskState) -> None:
    """Raise IllegalMove, with the task's history, unless the table allows the move."""
    if to not in MOVES[history[-1]]:
        raise IllegalMove(task, history, to)


class GroupStatus(StrEnum):
    """Status of a group in metadata.json (S-1)."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"


class GroupPhase(StrEnum):
    """The four phases of a group (E-1), in order."""

    PRE_EXECUTION = "pre_execution"
    CONCURRENT_EXECUTION = "concurrent_execution"
    COORDINATION = "coordination"
    POST_EXECUTION = "post_execution"


class RunStatus(StrEnum):
    """How a run stands or ended (C-1a)."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
