"""A run as data, as `folding` makes it. The engine, every view and the result object read the same value."""

# no `from __future__ import annotations`: see maestro.model.record

from datetime import datetime
from typing import Any

from pydantic import Field

from maestro.model.budget import Spent
from maestro.model.events import AttemptTested, BudgetsSet, Checkpoint, Landing, ResourceQueued, RunStarted
from maestro.model.outcome import Outcome
from maestro.model.record import Record
from maestro.model.states import GroupPhase, GroupStatus, RunStatus, TaskState


class Attempt(Record):
    """One try at a task."""

    number: int
    attempt_id: str
    agent: str
    subagent: str | None
    skills: tuple[str, ...]
    base: str
    branch: str
    workspace: str
    started_at: datetime
    pid: int | None = None
    pid_started: float | None = None
    suspected: str | None = None  # why it seems dead; nothing is done to it for that
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    peak_memory_bytes: int | None = None


GATE = ""
"""Who waits for a resource where it is no task but the tests before landing."""


class TaskRun(Record):
    """One task in this run."""

    id: str
    title: str = ""
    history: tuple[TaskState, ...] = (TaskState.PENDING,)
    attempts: tuple[Attempt, ...] = ()
    conflicts: int = 0
    commit: str | None = None
    reason: str = ""
    saved_ref: str | None = None
    tracker_error: str | None = None
    claimed: bool = False  # a tracker that others work on too gave it to this run, or may have, and was told no end
    tested: tuple[AttemptTested, ...] = ()  # by its agents, under the resource `tests`
    discovered: tuple[str, ...] = ()  # tasks made of what its agent came across
    ended_at: datetime | None = None

    @property
    def state(self) -> TaskState:
        """Where it stands now."""
        return self.history[-1]


class GroupRun(Record):
    """One marker group in this run."""

    id: str
    tasks: tuple[str, ...]
    phase: GroupPhase = GroupPhase.PRE_EXECUTION
    status: GroupStatus = GroupStatus.PENDING
    refreshed: bool = False
    errors: tuple[str, ...] = ()


class Run(Record):
    """One execution of a plan."""

    start: RunStarted
    status: RunStatus = RunStatus.RUNNING
    tip: str  # of the integration branch, as far as this run moved it
    branch: str
    tasks: dict[str, TaskRun]
    groups: dict[str, GroupRun]
    warnings: tuple[str, ...] = ()
    stopped: str | None = None  # why nothing new starts
    throttled: str | None = None  # why nothing more starts for now
    holds: dict[str, datetime] = Field(default_factory=dict)  # account → until when it rests
    hold_reasons: dict[str, str] = Field(default_factory=dict)
    queued: dict[str, ResourceQueued] = Field(default_factory=dict)  # task, or GATE → the resource it waits for
    landing: Landing | None = None  # said, not yet confirmed
    checkpoints: dict[str, Checkpoint] = Field(default_factory=dict)  # by name, in the order in which they were made
    sequential: str | None = None  # why it goes on one task at a time
    landings: int = 0  # by the landing queue
    landings_failed: int = 0  # work that it sent back, or could not land or judge
    gates: int = 0
    spent: Spent = Spent()
    budgets: BudgetsSet | None = None
    ended_at: datetime | None = None
    reason: str = ""
    metrics: dict[str, Any] = Field(default_factory=dict)
