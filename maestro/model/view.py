"""A run as people look at it: one value that every view renders, live or afterwards."""

from __future__ import annotations

from datetime import datetime

from maestro.model.budget import Spent, Standing, standings
from maestro.model.events import ResourceQueued
from maestro.model.record import Record
from maestro.model.run import GATE, Run, TaskRun
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
    waits: str | None = None  # for which resource, and who has it


class GroupView(Record):
    """One group, one line."""

    id: str
    phase: GroupPhase
    status: GroupStatus
    landed: int
    total: int


class HoldView(Record):
    """One account that rests (A-5)."""

    account: str
    until: datetime
    reason: str
    waiting: int  # tasks that could start otherwise

    def words(self, now: datetime) -> str:
        """A sentence without its full stop."""
        until = f"{self.until:%Y-%m-%d }" if self.until.date() != now.date() else ""
        until += f"{self.until:%H:%M:%S}".removesuffix(":00")
        tasks = "1 task waits" if self.waiting == 1 else f"{self.waiting} tasks wait"
        return f"{self.account} rests until {until} UTC: {self.reason}" + (f"; {tasks}" if self.waiting else "")


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
    holds: tuple[HoldView, ...] = ()
    gate_waits: str | None = None  # for which resource the tests before landing wait, and who has it
    cost_usd: float | None = None  # of ended attempts; None: no agent has said
    tokens: int | None = None
    budgets: tuple[Standing, ...] = ()  # those of the run; a day has other runs, of which it knows nothing


def view_of(run: Run, now: datetime) -> RunView:
    """The view of a run at `now` (at its end, once it has ended)."""
    moment = run.ended_at or now
    queued = queued_in(run)
    tasks = tuple(_task(task, run.start.attempts_allowed, moment, queued.get(task.id)) for task in run.tasks.values())
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
        holds=holds_of(run, now),
        gate_waits=waiting_words(queued[GATE]) if GATE in queued else None,
        cost_usd=run.spent.cost_usd,
        tokens=run.spent.tokens,
        budgets=_budgets_of(run, moment),
    )


def _budgets_of(run: Run, moment: datetime) -> tuple[Standing, ...]:
    if run.budgets is None:
        return ()
    limits = {kind: limit for kind, limit in run.budgets.limits.items() if kind.is_of_run}
    seconds = run.budgets.seconds_before + (moment - run.budgets.at).total_seconds()
    return standings(limits, run.spent, max(seconds, 0.0), Spent())


def holds_of(run: Run, now: datetime) -> tuple[HoldView, ...]:
    """The accounts that rest at `now`, while the run goes on."""
    if run.status is not RunStatus.RUNNING or not run.holds:
        return ()
    landed = {task.id for task in run.tasks.values() if task.state is TaskState.LANDED}
    waiting = sum(
        task.state is TaskState.PENDING and landed.issuperset(run.start.dependencies.get(task.id, ()))
        for task in run.tasks.values()
    )
    return tuple(
        HoldView(account=account, until=until, reason=run.hold_reasons.get(account, ""), waiting=waiting)
        for account, until in run.holds.items()
        if until > now
    )


def queued_in(run: Run) -> dict[str, ResourceQueued]:
    """Who waits for which resource while the run goes on; GATE: the tests before landing."""
    return run.queued if run.status is RunStatus.RUNNING else {}


def waiting_words(queued: ResourceQueued) -> str:
    """The end of the sentence "It …"."""
    held = f", held by {' and '.join(queued.holders)}" if queued.holders else ""
    before = f"; {queued.ahead} wait before it" if queued.ahead > 1 else "; one waits before it" if queued.ahead else ""
    return f"waits for {queued.resource}{held}{before}"


def _task(task: TaskRun, attempts_allowed: int, moment: datetime, queued: ResourceQueued | None) -> TaskView:
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
        waits=waiting_words(queued) if queued is not None else None,
    )


def _seconds(task: TaskRun, moment: datetime) -> float | None:
    """Of the last attempt while it runs, of all attempts otherwise; None before the first."""
    if not task.attempts:
        return None
    spans = [((one.ended_at or moment) - one.started_at).total_seconds() for one in task.attempts]
    return max(0.0, spans[-1] if task.state is TaskState.RUNNING else sum(spans))
