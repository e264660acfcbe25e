"""What a journal leaves open when its coordinator has died: pure, from events alone (E-6).

Whoever goes on with the run needs more than where each task stands: what it has used up, which attempts may still
run, which ends nobody has answered, and what the tracker has not been told.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from maestro.model.events import (
    AttemptEnded,
    AttemptSpawned,
    AttemptStarting,
    AttemptStopping,
    ConflictSeen,
    Event,
    GateEnded,
    Landed,
    Landing,
    RolledBack,
    RollingBack,
    RunResumed,
    TaskBlocked,
    TaskCancelled,
    TaskFailed,
    TaskRequeued,
    TrackerAdded,
    TrackerWritten,
)
from maestro.model.gate import GateRed
from maestro.model.outcome import Outcome, Succeeded
from maestro.model.record import Record
from maestro.model.task import Progress
from maestro.model.used import Used, count, count_sent_back


class OpenAttempt(Record):
    """An attempt whose end is not in the journal."""

    task: str
    number: int
    attempt_id: str
    base: str
    workspace: str
    since: datetime
    process: tuple[int, float] | None = None
    stopping: AttemptStopping | None = None


class Unanswered(Record):
    """An attempt that ended, and what follows was not decided, or its work has not come back from landing."""

    task: str
    outcome: Outcome
    base: str
    workspace: str


class Debt(Record):
    """What the tracker was to be told and was not."""

    task: str
    progress: Progress
    reason: str = ""
    commit: str | None = None
    saved_ref: str | None = None


class Leftover(Record):
    """All that is open, each in the order in which it came about."""

    used: dict[str, Used]
    open_attempts: tuple[OpenAttempt, ...]
    unanswered: tuple[Unanswered, ...]
    half_landing: Landing | None  # of which it is not yet said what became of all tasks
    half_rollback: RollingBack | None
    landed: tuple[str, ...]
    over: tuple[str, ...]  # failed or blocked
    debts: tuple[Debt, ...]
    undiscovered: tuple[str, ...]  # landed, and the tracker has not been given what their agents came across


def leftover(events: Iterable[Event]) -> Leftover:
    """Fold a journal into what is open at its end."""
    fold = _Fold()
    for event in events:
        fold.take(event)
    return fold.result()


class _Fold:
    """Mutable while folding; one method per kind of event."""

    def __init__(self) -> None:
        self.used: dict[str, Used] = {}
        self.starting: dict[str, OpenAttempt] = {}
        self.ended: dict[str, tuple[Unanswered, int]] = {}  # …, number of the attempt
        self.landing: Landing | None = None
        self.undecided: set[str] = set()  # of its tasks
        self.rollback: RollingBack | None = None
        self.landed: dict[str, None] = {}
        self.over: dict[str, None] = {}
        self.debts: dict[str, Debt] = {}
        self.found: dict[str, None] = {}  # landed with discovered work
        self.conflict: set[str] = set()  # since the last end of an attempt
        self.red: dict[str, str] = {}  # task → output of the last red gate it was in

    def take(self, event: Event) -> None:
        match event:
            case AttemptStarting() | AttemptSpawned() | AttemptStopping() | AttemptEnded():
                self._attempt(event)
            case ConflictSeen():
                self.conflict.add(event.task)
            case GateEnded(result=GateRed(output_tail=tail)):
                self.red |= dict.fromkeys(event.tasks, tail)
            case Landing():
                self.landing, self.undecided = event, set(event.tasks)
            case Landed() | TaskRequeued() | TaskFailed() | TaskBlocked() | TaskCancelled():
                self._task(event)
            case TrackerWritten():
                self._told(event)
            case TrackerAdded():
                self.found.pop(event.task, None)
            case RollingBack():
                self._put_back(event)
            case RolledBack():
                self.rollback = None
            case RunResumed():
                self._reopen(event.reopened)
            case _:
                pass

    def _attempt(self, event: AttemptStarting | AttemptSpawned | AttemptStopping | AttemptEnded) -> None:
        task = event.task
        match event:
            case AttemptStarting():
                self.starting[task] = OpenAttempt(
                    task=task,
                    number=event.attempt,
                    attempt_id=event.attempt_id,
                    base=event.base,
                    workspace=event.workspace,
                    since=event.at,
                )
            case AttemptSpawned():
                self.starting[task] = self.starting[task].evolve(process=(event.pid, event.pid_started))
            case AttemptStopping():
                self.starting[task] = self.starting[task].evolve(stopping=event)
            case AttemptEnded():
                begun = self.starting.pop(task)
                end = Unanswered(task=task, outcome=event.outcome, base=begun.base, workspace=begun.workspace)
                self.ended[task] = (end, event.attempt)
                self.conflict.discard(task)

    def _task(self, event: Landed | TaskRequeued | TaskFailed | TaskBlocked | TaskCancelled) -> None:
        task = event.task
        self.undecided.discard(task)
        self._answer(event)
        match event:
            case Landed():
                self.landed[task] = None
                self.debts[task] = Debt(task=task, progress=Progress.DONE, commit=event.commit)
            case TaskFailed():
                self.over[task] = None
                self._owe_open(task, event.reason, event.saved_ref)
            case TaskBlocked():
                self.over[task] = None
                if event.told:
                    self._owe_open(task, event.reason, event.saved_ref)
            case TaskCancelled():
                self._owe_open(task, event.reason, event.saved_ref)
            case TaskRequeued():
                self.debts.pop(task, None)

    def _answer(self, event: Landed | TaskRequeued | TaskFailed | TaskBlocked | TaskCancelled) -> None:
        """What follows the task's last attempt has been said."""
        if event.task not in self.ended:
            return
        end, number = self.ended.pop(event.task)
        saved = getattr(event, "saved_ref", None)
        used = count(self.used.get(event.task, Used()), end.outcome, number, saved)
        is_good = isinstance(end.outcome, Succeeded)
        if isinstance(end.outcome, Succeeded) and end.outcome.discovered and isinstance(event, Landed):
            self.found[event.task] = None
        if is_good and not isinstance(event, Landed):
            conflict = event.task in self.conflict
            tail = "" if conflict else self.red.get(event.task, "")
            used = count_sent_back(used, event.reason, number, saved, conflict=conflict, tail=tail)
        self.used[event.task] = used

    def _owe_open(self, task: str, reason: str, saved_ref: str | None) -> None:
        self.debts[task] = Debt(task=task, progress=Progress.OPEN, reason=reason, saved_ref=saved_ref)

    def _told(self, event: TrackerWritten) -> None:
        debt = self.debts.get(event.task)
        refused = event.error is not None and event.progress == Progress.DONE  # what has landed is told again
        if debt is not None and debt.progress == event.progress and not refused:
            del self.debts[event.task]  # also where it was not to be opened again: that was said

    def _reopen(self, tasks: Iterable[str]) -> None:
        """They begin anew, knowing what failed before."""
        for task in tasks:
            self.over.pop(task, None)
            self.debts.pop(task, None)
            if task in self.used:
                self.used[task] = Used(failures=self.used[task].failures)

    def _put_back(self, event: RollingBack) -> None:
        """What had landed since the checkpoint begins anew."""
        self.rollback, self.landing = event, None
        for task in event.tasks:
            self.landed.pop(task, None)
            self.found.pop(task, None)
        self._reopen(event.tasks)

    def result(self) -> Leftover:
        return Leftover(
            used=self.used,
            open_attempts=tuple(self.starting.values()),
            unanswered=tuple(end for end, _ in self.ended.values()),
            half_landing=self.landing if self.undecided else None,
            half_rollback=self.rollback,
            landed=tuple(self.landed),
            over=tuple(self.over),
            debts=tuple(self.debts.values()),
            undiscovered=tuple(self.found),
        )
