"""The fold: what events make of a run. `apply` is pure, and a journal is folded in time that grows with its length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from maestro.model.draft import Draft
from maestro.model.events import (
    AccountHeld,
    AccountReleased,
    AttemptEnded,
    AttemptSpawned,
    AttemptStarting,
    AttemptSuspected,
    AttemptTested,
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
    ResourceQueued,
    ResourceTaken,
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
from maestro.model.run import GATE, GroupRun, Run, TaskRun
from maestro.model.states import FINAL, GroupPhase, GroupStatus, RunStatus, TaskState
from maestro.model.taskmoves import Answer, AttemptEvent, answered, attempted, put_back, reopened


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
    return _folded(begin(first), events[1:])


def apply(run: Run, event: Event) -> Run:
    """The run after one more event; IllegalMove where the table of states does not allow it."""
    return _folded(run, (event,))


def _folded(run: Run, events: Iterable[Event]) -> Run:
    draft = Draft(run)
    for event in events:
        _take(draft, event)
    return draft.result()


def _take(draft: Draft, event: Event) -> None:
    match event:
        case AttemptStarting() | AttemptSpawned() | AttemptSuspected() | AttemptTested() | AttemptEnded():
            _attempt(draft, event)
        case TaskRequeued() | Landed() | TaskFailed() | TaskBlocked() | TaskCancelled():
            _answer(draft, event)
        case RunResumed():
            _resumed(draft, event)
        case ConflictSeen():
            task = draft.tasks[event.task]
            draft.put(task.model_copy(update={"conflicts": task.conflicts + 1}))
        case GroupMoved():
            _group(draft, event)
        case Warned():
            draft.warn(event.message)
        case CheckoutChanged():
            draft.warn("your checkout changed: " + "; ".join(event.changes))
        case AccountHeld() | AccountReleased():
            _account(draft, event)
        case TrackerClaiming() | TrackerClaimed() | TrackerWritten() | TrackerAdded():
            _tracker(draft, event)
        case RollingBack():
            _put_back(draft, event)
        case RunEnded():
            draft.change(status=event.status, reason=event.reason, metrics=event.metrics, ended_at=event.at)
        case _:
            _course(draft, event)


def _course(draft: Draft, event: Event) -> None:
    """Of the run as a whole; all other events change no view of it."""
    run = draft.run
    match event:
        case ModelUsed():
            draft.change(spent=run.spent.plus(event.usage, worked=False))
        case BudgetsSet():
            draft.change(budgets=event)
        case Throttled():
            draft.change(throttled=event.reason)
        case DispatchStopped():
            gate = {GATE: run.queued[GATE]} if GATE in run.queued else {}
            draft.change(stopped=event.reason, throttled=None, queued=gate)
        case WentSequential():
            draft.change(sequential=event.reason)
        case Landing():
            draft.change(landing=event)
        case Checkpoint():
            others = {name: one for name, one in run.checkpoints.items() if name != event.name}
            draft.change(checkpoints={**others, event.name: event})
        case GateEnded():
            draft.change(gates=run.gates + 1)
            _no_longer_queued(draft, GATE)
        case ResourceQueued() | ResourceTaken():
            _resource(draft, event)


def _resource(draft: Draft, event: ResourceQueued | ResourceTaken) -> None:
    who = GATE if event.task is None else event.task
    if isinstance(event, ResourceQueued):
        draft.change(queued={**draft.run.queued, who: event})
    else:
        _no_longer_queued(draft, who)


def _no_longer_queued(draft: Draft, who: str) -> None:
    if who in draft.run.queued:
        draft.change(queued={name: one for name, one in draft.run.queued.items() if name != who})


def _attempt(draft: Draft, event: AttemptEvent) -> None:
    task = attempted(draft.tasks[event.task], event)
    draft.put(task)
    if isinstance(event, AttemptEnded):
        worked = task.attempts[-1].pid is not None
        draft.change(spent=draft.run.spent.plus(event.outcome.usage, worked=worked))


def _answer(draft: Draft, event: Answer) -> None:
    task = draft.tasks[event.task]
    _count_landing(draft, task, event)
    _no_longer_queued(draft, event.task)
    draft.put(answered(task, event))
    if isinstance(event, Landed):
        draft.change(tip=event.commit or draft.run.tip, branch=event.branch)


def _count_landing(draft: Draft, task: TaskRun, event: Answer) -> None:
    """One more, where this is what became of one: only finished work is submitted. A task that was stopped, or that
    somebody else took, says nothing about landing."""
    if task.state is not TaskState.SUBMITTED or isinstance(event, TaskCancelled):
        return
    if isinstance(event, Landed):
        draft.change(landings=draft.run.landings + 1)
    elif not isinstance(event, TaskBlocked) or event.told:
        draft.change(landings_failed=draft.run.landings_failed + 1)


def _account(draft: Draft, event: AccountHeld | AccountReleased) -> None:
    run = draft.run
    holds = {account: until for account, until in run.holds.items() if account != event.account}
    reasons = {account: why for account, why in run.hold_reasons.items() if account != event.account}
    if isinstance(event, AccountHeld):
        holds[event.account], reasons[event.account] = event.until, event.reason
    draft.change(holds=holds, hold_reasons=reasons)


def _tracker(draft: Draft, event: TrackerClaiming | TrackerClaimed | TrackerWritten | TrackerAdded) -> None:
    changes: dict[str, dict[str, Any]] = {}
    match event:
        case TrackerClaiming():
            changes = {task: {"claimed": True} for task in event.tasks}
        case TrackerClaimed():
            changes = {task: {"claimed": False} for task in event.refused}
        case TrackerWritten() if event.error is not None:
            changes = {event.task: {"tracker_error": event.error}}
        case TrackerWritten() if _is_owed(draft.tasks[event.task]):
            changes = {event.task: {"claimed": False, "tracker_error": None}}
        case TrackerAdded() if event.ids:
            changes = {event.task: {"discovered": event.ids}}
    if changes:
        draft.put(*(draft.tasks[task].model_copy(update=update) for task, update in changes.items()))


def _is_owed(task: TaskRun) -> bool:
    """Whether it matters that the tracker was told."""
    return task.claimed or task.tracker_error is not None


def _group(draft: Draft, event: GroupMoved) -> None:
    group = draft.run.groups[event.group]
    changes: dict[str, Any] = {"phase": event.phase, "status": event.status, "errors": (*group.errors, *event.errors)}
    if event.refreshed is not None:
        changes["refreshed"] = event.refreshed
    draft.put_groups([group.model_copy(update=changes)])


def _resumed(draft: Draft, event: RunResumed) -> None:
    """Nothing is stopped any more; groups with a task that is not over are at work again."""
    draft.put(*(reopened(draft.tasks[name]) for name in event.reopened))
    tasks = draft.tasks
    draft.put_groups(
        group.model_copy(update=_at_work_again(group))
        for group in draft.run.groups.values()
        if any(tasks[task].state not in FINAL for task in group.tasks)
    )
    draft.change(status=RunStatus.RUNNING, stopped=None, ended_at=None, reason="", queued={})


def _at_work_again(group: GroupRun) -> dict[str, Any]:
    if group.phase is GroupPhase.PRE_EXECUTION:
        return {"status": GroupStatus.PENDING, "errors": ()}
    return {"phase": GroupPhase.CONCURRENT_EXECUTION, "status": GroupStatus.IN_PROGRESS, "errors": ()}


def _put_back(draft: Draft, event: RollingBack) -> None:
    """The run as it stood at a checkpoint; what was tried since stays known."""
    run, why = draft.run, f"rolled back to {event.checkpoint}"
    draft.put(*(put_back(draft.tasks[name], why) for name in event.tasks))
    affected = (group for group in run.groups.values() if not set(event.tasks).isdisjoint(group.tasks))
    draft.put_groups(GroupRun(id=group.id, tasks=group.tasks) for group in affected)
    names = list(run.checkpoints)
    kept = names[: names.index(event.checkpoint) + 1] if event.checkpoint in names else names
    draft.change(
        tip=event.commit,
        branch=event.branch,
        landing=None,
        checkpoints={name: run.checkpoints[name] for name in kept},
        status=RunStatus.INTERRUPTED,
        ended_at=event.at,
        reason=why,
    )
