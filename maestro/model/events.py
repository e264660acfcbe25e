"""Everything that happens in a run, as records: the journal holds them, every view is a fold of them.

An event with an act behind it is written *before* the act (`attempt_starting`, `landing`, `closing`); its
partner that says the act is over is written after it. A reader meets the pair or only its first half.
"""

# no `from __future__ import annotations`: see maestro.model.record

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from maestro.model.budget import Kind
from maestro.model.conflict import Conflict
from maestro.model.gate import GateResult, TestTotals
from maestro.model.outcome import Clock3, FailureKind, Outcome, Usage
from maestro.model.record import Record
from maestro.model.states import GroupPhase, GroupStatus, RunStatus


class Event(Record):
    """Base: `at` is aware UTC."""

    at: datetime


class RunStarted(Event):
    type: Literal["run_started"] = "run_started"
    run_id: str
    maestro_version: str
    repository: str
    base: str  # commit id
    base_branch: str
    integration_branch: str
    tracker: str  # identity: kind and source
    schedule: str
    max_parallel: int
    max_parallel_reason: str  # how it was decided (E-4)
    tasks: tuple[str, ...]
    titles: dict[str, str] = Field(default_factory=dict)
    dependencies: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    levels: tuple[tuple[str, ...], ...] = ()
    attempts_allowed: int = 1
    pid: int = 0
    pid_started: float = 0.0  # kernel start time, seconds since boot


class RunResumed(Event):
    """Another coordinator goes on with the run (E-6). Written before it does anything."""

    type: Literal["run_resumed"] = "run_resumed"
    maestro_version: str
    reopened: tuple[str, ...] = ()  # tasks that had an end and are pending again
    changed: dict[str, str] = Field(default_factory=dict)  # settings that are other than at the start, in words
    torn_bytes: int = 0  # cut off the end of the journal
    pid: int = 0
    pid_started: float = 0.0  # kernel start time, seconds since boot


class Warned(Event):
    """Something a person should know; nothing stops."""

    type: Literal["warned"] = "warned"
    message: str
    task: str | None = None


class BudgetsSet(Event):
    """The budgets a run goes on with (A-7), at its start and whenever it is resumed."""

    type: Literal["budgets_set"] = "budgets_set"
    limits: dict[Kind, float]
    seconds_before: float = 0.0  # of wall time, while earlier coordinators of the run lived


class GatewayStarted(Event):
    """A gateway that holds a provider's keys listens, before an agent is sent to it (A-6)."""

    type: Literal["gateway_started"] = "gateway_started"
    provider: str
    port: int
    pid: int
    pid_started: float


class ModelUsed(Event):
    """A model was asked outside of any attempt, such as for the context of a group (E-2), and said what it used."""

    type: Literal["model_used"] = "model_used"
    asked_for: str
    marker: str  # of its processes
    usage: Usage


class GroupMoved(Event):
    type: Literal["group_moved"] = "group_moved"
    group: str
    phase: GroupPhase
    status: GroupStatus
    refreshed: bool | None = None  # pre_group_refresh_completed, once known
    errors: tuple[str, ...] = ()


class AttemptStarting(Event):
    """Written before the workspace is made."""

    type: Literal["attempt_starting"] = "attempt_starting"
    task: str
    attempt: int  # 1, 2 …
    attempt_id: str  # the marker MAESTRO_ATTEMPT
    agent: str
    base: str
    workspace: str
    branch: str
    skills: tuple[str, ...] = ()
    subagent: str | None = None


class AttemptSpawned(Event):
    type: Literal["attempt_spawned"] = "attempt_spawned"
    task: str
    attempt_id: str
    pid: int
    pid_started: float


class AttemptNoted(Event):
    """Something the agent's output said while running (a retry, a denial, a cost)."""

    type: Literal["attempt_noted"] = "attempt_noted"
    task: str
    attempt_id: str
    note: str


class AttemptSuspected(Event):
    """It shows no sign of life; None: it does again. Nothing is done to it for that."""

    type: Literal["attempt_suspected"] = "attempt_suspected"
    task: str
    attempt_id: str
    reason: str | None


class AttemptTested(Event):
    """Its agent ran tests under the resource `tests` (I-7), and what became of them (M-6)."""

    type: Literal["attempt_tested"] = "attempt_tested"
    task: str
    attempt_id: str
    number: int  # of the attempt's test runs, from 1
    exit_code: int
    seconds: float
    waited_seconds: float = 0.0  # for the resource, before
    totals: TestTotals | None = None  # None: no results in a form that can be read
    failing: tuple[str, ...] = ()


class AttemptStopping(Event):
    """Written before the stop ladder's first rung."""

    type: Literal["attempt_stopping"] = "attempt_stopping"
    task: str
    attempt_id: str
    reason: str
    clock: Clock3 | None = None  # the one that ran out, where it was one
    limit_seconds: float | None = None
    failure: FailureKind | None = None  # what it comes to, where it did what it must not


class AttemptEnded(Event):
    type: Literal["attempt_ended"] = "attempt_ended"
    task: str
    attempt: int
    attempt_id: str
    outcome: Outcome
    seconds: float
    peak_memory_bytes: int | None = None  # of all its processes together, as far as it was looked at


class TaskRequeued(Event):
    """Another attempt will follow."""

    type: Literal["task_requeued"] = "task_requeued"
    task: str
    reason: str
    delay_seconds: float = 0.0
    saved_ref: str | None = None  # the work so far


class ConflictSeen(Event):
    type: Literal["conflict_seen"] = "conflict_seen"
    task: str
    conflict: Conflict


class GateStarted(Event):
    type: Literal["gate_started"] = "gate_started"
    commit: str
    tasks: tuple[str, ...]
    command: str


class GateEnded(Event):
    type: Literal["gate_ended"] = "gate_ended"
    commit: str
    tasks: tuple[str, ...]
    result: GateResult


class Landing(Event):
    """Written before the branch is moved: `commits[i]` is what `tasks[i]` lands as."""

    type: Literal["landing"] = "landing"
    branch: str
    expected: str  # the tip the branch must still have
    new_tip: str
    tasks: tuple[str, ...]
    commits: tuple[str, ...]


class Landed(Event):
    type: Literal["landed"] = "landed"
    task: str
    commit: str | None  # None: nothing had to change
    branch: str
    remark: str = ""  # why nothing had to change


class TaskFailed(Event):
    type: Literal["task_failed"] = "task_failed"
    task: str
    reason: str
    saved_ref: str | None = None


class TaskBlocked(Event):
    type: Literal["task_blocked"] = "task_blocked"
    task: str
    reason: str
    saved_ref: str | None = None
    told: bool = False  # the tracker is to open it again: work on it was taken up, and it is nobody else's


class TaskCancelled(Event):
    type: Literal["task_cancelled"] = "task_cancelled"
    task: str
    reason: str
    saved_ref: str | None = None


class TrackerClaiming(Event):
    """Written before a tracker that others work on too is asked to give tasks to this run, also ahead of need."""

    type: Literal["tracker_claiming"] = "tracker_claiming"
    tasks: tuple[str, ...]


class TrackerClaimed(Event):
    """What the tracker answered."""

    type: Literal["tracker_claimed"] = "tracker_claimed"
    tasks: tuple[str, ...]  # ours now: it was read back
    refused: dict[str, str] = Field(default_factory=dict)  # a clause each


class TrackerWriting(Event):
    """Written before the tracker is told."""

    type: Literal["tracker_writing"] = "tracker_writing"
    task: str
    progress: str


class TrackerWritten(Event):
    type: Literal["tracker_written"] = "tracker_written"
    task: str
    progress: str
    error: str | None = None


class TrackerAdding(Event):
    """Written before the tracker is given what the agent of a landed task discovered."""

    type: Literal["tracker_adding"] = "tracker_adding"
    task: str
    titles: tuple[str, ...]


class TrackerAdded(Event):
    type: Literal["tracker_added"] = "tracker_added"
    task: str
    ids: tuple[str, ...] = ()
    error: str | None = None


class CheckoutChanged(Event):
    """The user's checkout differs from what it was (W-3)."""

    type: Literal["checkout_changed"] = "checkout_changed"
    changes: tuple[str, ...]
    task: str | None = None  # the attempt it was traced to
    evidence: str = ""


class AccountHeld(Event):
    """All attempts on an account wait for its limit to end (A-5). Written before it counts."""

    type: Literal["account_held"] = "account_held"
    account: str
    until: datetime
    reason: str
    times: int = 1  # rests in a row, without one attempt between them that got through
    waiting: int = 0  # tasks that could start otherwise


class AccountReleased(Event):
    """The first attempt after the rest has got through; the others follow one by one."""

    type: Literal["account_released"] = "account_released"
    account: str


class Throttled(Event):
    """The machine does not bear another attempt now, and why; None: it does again."""

    type: Literal["throttled"] = "throttled"
    reason: str | None


class ResourceQueued(Event):
    """A task, or the tests before landing, waits for a named resource (I-7); nothing is said where it is free."""

    type: Literal["resource_queued"] = "resource_queued"
    resource: str
    task: str | None = None  # None: the tests before landing
    holders: tuple[str, ...] = ()  # who has it, in words
    ahead: int = 0  # so many wait before


class ResourceTaken(Event):
    """It has the resource, until its attempt or its tests end. Of tests before landing, only where they waited."""

    type: Literal["resource_taken"] = "resource_taken"
    resource: str
    task: str | None = None
    fencing: int  # the number that only grows
    waited_seconds: float = 0.0


class DispatchStopped(Event):
    """Nothing new starts from here on; running work finishes."""

    type: Literal["dispatch_stopped"] = "dispatch_stopped"
    reason: str


class Checkpoint(Event):
    """A place that `maestro rollback` can go back to (E-9). Written before the first attempt of what comes after it."""

    type: Literal["checkpoint"] = "checkpoint"
    name: str  # start, group-<X>, level-<N>
    branch: str  # the integration branch then
    commit: str  # its tip then
    group: str | None = None


class WentSequential(Event):
    """From here on one task at a time (E-9)."""

    type: Literal["went_sequential"] = "went_sequential"
    reason: str


class RollingBack(Event):
    """Written before branch, tracker and list of landings are put back to a checkpoint."""

    type: Literal["rolling_back"] = "rolling_back"
    checkpoint: str
    branch: str
    expected: str  # the tip the branch must still have
    commit: str  # the tip it gets: the checkpoint's
    tasks: tuple[str, ...]  # had landed since, and wait again
    removed: dict[str, str] = Field(default_factory=dict)  # branches of later levels → their tips
    saved_refs: tuple[str, ...] = ()  # keep every tip that is taken away


class RolledBack(Event):
    type: Literal["rolled_back"] = "rolled_back"
    checkpoint: str
    refused: dict[str, str] = Field(default_factory=dict)  # tasks that the tracker did not open again, a clause each


class RunEnded(Event):
    type: Literal["run_ended"] = "run_ended"
    status: RunStatus
    reason: str = ""
    metrics: dict[str, Any] = Field(default_factory=dict)


AnyEvent = Annotated[
    RunStarted
    | RunResumed
    | Warned
    | BudgetsSet
    | ModelUsed
    | GatewayStarted
    | GroupMoved
    | AttemptStarting
    | AttemptSpawned
    | AttemptNoted
    | AttemptSuspected
    | AttemptTested
    | AttemptStopping
    | AttemptEnded
    | TaskRequeued
    | ConflictSeen
    | GateStarted
    | GateEnded
    | Landing
    | Landed
    | TaskFailed
    | TaskBlocked
    | TaskCancelled
    | TrackerClaiming
    | TrackerClaimed
    | TrackerWriting
    | TrackerWritten
    | TrackerAdding
    | TrackerAdded
    | CheckoutChanged
    | AccountHeld
    | AccountReleased
    | Throttled
    | ResourceQueued
    | ResourceTaken
    | DispatchStopped
    | Checkpoint
    | WentSequential
    | RollingBack
    | RolledBack
    | RunEnded,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent, config={"defer_build": True})  # most runs only write events
