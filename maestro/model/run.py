"""A run as data: the fold of its events. The engine, every view and the result object read the same value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from maestro.model.budget import Spent
from maestro.model.events import (
    AccountHeld,
    AccountReleased,
    AttemptEnded,
    AttemptSpawned,
    AttemptStarting,
    AttemptSuspected,
    BudgetsSet,
    CheckoutChanged,
    Checkpoint,
    ConflictSeen,
    DispatchStopped,
    Event,
    GateEnded,
    GroupMoved,
    Landed,
    Landing,
    ModelUsed,
    RollingBack,
    RunEnded,
    RunResumed,
    RunStarted,
    TaskBlocked,
    TaskCancelled,
    TaskFailed,
    TaskRequeued,
    Throttled,
    TrackerAdded,
    TrackerClaimed,
    TrackerClaiming,
    TrackerWritten,
    Warned,
    WentSequential,
)
from maestro.model.outcome import Outcome, Succeeded
from maestro.model.record import Record
from maestro.model.states import FINAL, GroupPhase, GroupStatus, RunStatus, TaskState, check_move


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


def begin(event: RunStarted) -> Run:
    """The run right after its first event."""
    tasks = {task: TaskRun(id=task, title=event.titles.get(task, "")) for task in event.tasks}
    groups = {group: GroupRun(id=group, tasks=members) for group, members in event.groups.items()}
    return Run(start=event, tip=event.base, branch=event.integration_branch, tasks=tasks, groups=groups)


def fold(events: Sequence[Event]) -> Run:
    """The run that a journal tells of, whose first event is its start."""
    first = events[0]
    if not isinstance(first, RunStarted):
        raise ValueError(f"the first event of a run is run_started, not {first}")
    run = begin(first)
    for event in events[1:]:
        run = apply(run, event)
    return run


def apply(run: Run, event: Event) -> Run:
    """The run after one more event; IllegalMove where the table of states does not allow it."""
    match event:
        case AttemptStarting() | AttemptSpawned() | AttemptSuspected() | AttemptEnded():
            run = _with_task(run, _attempt_event(run.tasks[event.task], event))
            return _with_spent(run, event) if isinstance(event, AttemptEnded) else run
        case TaskRequeued() | Landed() | TaskFailed() | TaskBlocked() | TaskCancelled():
            return _task_event(run, event)
        case RunResumed():
            return _resumed(run, event)
        case ConflictSeen():
            task = run.tasks[event.task]
            return _with_task(run, task.model_copy(update={"conflicts": task.conflicts + 1}))
        case GroupMoved():
            return _group_event(run, event)
        case Warned() | CheckoutChanged():
            return _warned(run, event)
        case AccountHeld() | AccountReleased():
            return _account_event(run, event)
        case (
            BudgetsSet() | ModelUsed() | Throttled() | DispatchStopped() | WentSequential() | Landing() | Checkpoint()
            | RollingBack()
        ):  # fmt: skip
            return _course_event(run, event)
        case GateEnded():
            return run.model_copy(update={"gates": run.gates + 1})
        case TrackerClaiming() | TrackerClaimed() | TrackerWritten() | TrackerAdded():
            return _tracker_event(run, event)
        case RunEnded():
            changes = {"status": event.status, "reason": event.reason, "metrics": event.metrics, "ended_at": event.at}
            return run.model_copy(update=changes)
        case _:
            return run


def _resumed(run: Run, event: RunResumed) -> Run:
    """Nothing is stopped any more; groups with a task that is not over are at work again."""
    tasks = dict(run.tasks)
    for name in event.reopened:
        tasks[name] = moved(tasks[name], TaskState.PENDING, reason="", saved_ref=None, ended_at=None)
    groups = {
        group.id: group
        if all(tasks[task].state in FINAL for task in group.tasks)
        else group.model_copy(update=_at_work_again(group))
        for group in run.groups.values()
    }
    changes = {"status": RunStatus.RUNNING, "stopped": None, "ended_at": None, "reason": ""}
    return run.model_copy(update={**changes, "tasks": tasks, "groups": groups})


def _at_work_again(group: GroupRun) -> dict[str, Any]:
    if group.phase is GroupPhase.PRE_EXECUTION:
        return {"status": GroupStatus.PENDING, "errors": ()}
    return {"phase": GroupPhase.CONCURRENT_EXECUTION, "status": GroupStatus.IN_PROGRESS, "errors": ()}


def _account_event(run: Run, event: AccountHeld | AccountReleased) -> Run:
    holds = {account: until for account, until in run.holds.items() if account != event.account}
    reasons = {account: why for account, why in run.hold_reasons.items() if account != event.account}
    if isinstance(event, AccountHeld):
        holds[event.account], reasons[event.account] = event.until, event.reason
    return run.model_copy(update={"holds": holds, "hold_reasons": reasons})


def _with_task(run: Run, task: TaskRun) -> Run:
    return run.model_copy(update={"tasks": {**run.tasks, task.id: task}})


def _with_spent(run: Run, event: AttemptEnded) -> Run:
    worked = run.tasks[event.task].attempts[-1].pid is not None
    return run.model_copy(update={"spent": run.spent.plus(event.outcome.usage, worked=worked)})


def moved(task: TaskRun, to: TaskState, **changes: Any) -> TaskRun:
    """The task one legal move on."""
    check_move(task.id, task.history, to)
    return task.model_copy(update={"history": (*task.history, to), **changes})


def _attempt_event(task: TaskRun, event: AttemptStarting | AttemptSpawned | AttemptSuspected | AttemptEnded) -> TaskRun:
    match event:
        case AttemptStarting():
            attempt = Attempt(
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
            return moved(task, TaskState.RUNNING, attempts=(*task.attempts, attempt), reason="")
        case AttemptSpawned():
            return _with_last(task, pid=event.pid, pid_started=event.pid_started)
        case AttemptSuspected():
            return _with_last(task, suspected=event.reason)
        case AttemptEnded():
            peak = event.peak_memory_bytes
            task = _with_last(task, ended_at=event.at, outcome=event.outcome, suspected=None, peak_memory_bytes=peak)
            if isinstance(event.outcome, Succeeded) and not event.outcome.no_change:
                return moved(task, TaskState.SUBMITTED)
            return task  # what follows is the policy's word: requeued, failed, blocked, cancelled or landed


def _tracker_event(run: Run, event: TrackerClaiming | TrackerClaimed | TrackerWritten | TrackerAdded) -> Run:
    changes: dict[str, dict[str, Any]] = {}
    match event:
        case TrackerClaiming():
            changes = {task: {"claimed": True} for task in event.tasks}
        case TrackerClaimed():
            changes = {task: {"claimed": False} for task in event.refused}
        case TrackerWritten() if event.error is not None:
            changes = {event.task: {"tracker_error": event.error}}
        case TrackerWritten() if run.tasks[event.task].claimed or run.tasks[event.task].tracker_error is not None:
            changes = {event.task: {"claimed": False, "tracker_error": None}}
        case TrackerAdded() if event.ids:
            changes = {event.task: {"discovered": event.ids}}
        case _:
            return run
    tasks = {task: run.tasks[task].model_copy(update=update) for task, update in changes.items()}
    return run.model_copy(update={"tasks": {**run.tasks, **tasks}})


def _with_last(task: TaskRun, **changes: Any) -> TaskRun:
    last = task.attempts[-1].model_copy(update=changes)
    return task.model_copy(update={"attempts": (*task.attempts[:-1], last)})


def _task_event(run: Run, event: TaskRequeued | Landed | TaskFailed | TaskBlocked | TaskCancelled) -> Run:
    task = run.tasks[event.task]
    run = _tried(run, task, event)
    match event:
        case TaskRequeued():
            return _with_task(run, moved(task, TaskState.PENDING, reason=event.reason))
        case Landed():
            landed = moved(task, TaskState.LANDED, commit=event.commit, ended_at=event.at, reason=event.remark)
            tip = event.commit or run.tip
            return _with_task(run, landed).model_copy(update={"tip": tip, "branch": event.branch})
        case TaskFailed():
            to = TaskState.FAILED
        case TaskBlocked():
            to = TaskState.BLOCKED
        case TaskCancelled():
            to = TaskState.CANCELLED
    over = moved(task, to, reason=event.reason, saved_ref=event.saved_ref, ended_at=event.at)
    return _with_task(run, over)


def _tried(run: Run, task: TaskRun, event: Event) -> Run:
    """The run with one more landing counted, where this is what became of one: only finished work is submitted. A task
    that was stopped, or that somebody else took, says nothing about landing."""
    if task.state is not TaskState.SUBMITTED or isinstance(event, TaskCancelled):
        return run
    if isinstance(event, Landed):
        return run.model_copy(update={"landings": run.landings + 1})
    if isinstance(event, TaskBlocked) and not event.told:
        return run
    return run.model_copy(update={"landings_failed": run.landings_failed + 1})


def _warned(run: Run, event: Warned | CheckoutChanged) -> Run:
    said = event.message if isinstance(event, Warned) else "your checkout changed: " + "; ".join(event.changes)
    return run.model_copy(update={"warnings": (*run.warnings, said)})


def _course_event(
    run: Run,
    event: BudgetsSet | ModelUsed | Throttled | DispatchStopped | WentSequential | Landing | Checkpoint | RollingBack,
) -> Run:
    match event:
        case ModelUsed():
            return run.model_copy(update={"spent": run.spent.plus(event.usage, worked=False)})
        case BudgetsSet():
            return run.model_copy(update={"budgets": event})
        case Throttled():
            return run.model_copy(update={"throttled": event.reason})
        case DispatchStopped():
            return run.model_copy(update={"stopped": event.reason, "throttled": None})
        case WentSequential():
            return run.model_copy(update={"sequential": event.reason})
        case Landing():
            return run.model_copy(update={"landing": event})
        case Checkpoint():
            others = {name: one for name, one in run.checkpoints.items() if name != event.name}
            return run.model_copy(update={"checkpoints": {**others, event.name: event}})
        case RollingBack():
            return _put_back(run, event)


def _put_back(run: Run, event: RollingBack) -> Run:
    """The run as it stood at a checkpoint; what was tried since stays known."""
    why = f"rolled back to {event.checkpoint}"
    tasks = {name: _waiting_again(run.tasks[name], why) for name in event.tasks}
    groups = {
        group.id: GroupRun(id=group.id, tasks=group.tasks)
        for group in run.groups.values()
        if not tasks.keys().isdisjoint(group.tasks)
    }
    names = list(run.checkpoints)
    kept = names[: names.index(event.checkpoint) + 1] if event.checkpoint in names else names
    return run.model_copy(
        update={
            "tasks": {**run.tasks, **tasks},
            "groups": {**run.groups, **groups},
            "tip": event.commit,
            "branch": event.branch,
            "landing": None,
            "checkpoints": {name: run.checkpoints[name] for name in kept},
            "status": RunStatus.INTERRUPTED,
            "ended_at": event.at,
            "reason": why,
        }
    )


def _waiting_again(task: TaskRun, why: str) -> TaskRun:
    if task.state is TaskState.PENDING:
        return task
    return moved(task, TaskState.PENDING, commit=None, ended_at=None, reason=why)


def _group_event(run: Run, event: GroupMoved) -> Run:
    group = run.groups[event.group]
    changes: dict[str, Any] = {"phase": event.phase, "status": event.status, "errors": (*group.errors, *event.errors)}
    if event.refreshed is not None:
        changes["refreshed"] = event.refreshed
    return run.model_copy(update={"groups": {**run.groups, group.id: group.model_copy(update=changes)}})
