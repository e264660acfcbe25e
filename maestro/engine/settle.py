"""Settles what becomes of a task: journal, dispatcher, group and tracker are told the same thing, in this order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from maestro.engine.closing import Closing
from maestro.engine.context import RunContext
from maestro.engine.phases import GroupPhases
from maestro.integration.verdicts import SentBack
from maestro.model.events import Landed, TaskBlocked, TaskCancelled, TaskFailed, TaskRequeued, Warned
from maestro.model.gate import GateRed
from maestro.model.outcome import FailureKind, Outcome, Succeeded
from maestro.model.report import Discovery
from maestro.model.retry import Counts
from maestro.model.states import TaskState
from maestro.model.task import Progress
from maestro.model.used import Failure, Used, count, count_sent_back
from maestro.planning.schedule import Dispatcher
from maestro.trackers.base import Note


class Settling:
    """Keeps the counts of each task and carries out what was decided about it."""

    def __init__(self, context: RunContext, dispatcher: Dispatcher, closing: Closing, phases: GroupPhases) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._closing = closing
        self._phases = phases
        self._used: dict[str, Used] = defaultdict(Used)
        self.landed: list[str] = []

    def note(self, reason: str = "", *, commit: str | None = None, saved_ref: str | None = None) -> Note:
        """What goes to the tracker with a new state."""
        context = self._context
        return Note(
            run_id=context.run_id,
            reason=context.redactor.mask(reason),
            commit=commit,
            branch=None if reason else context.recorder.run.branch,  # what did not land is not there
            saved_ref=saved_ref,
        )

    def not_started(self) -> Note:
        """For tasks that were claimed ahead and are given back."""
        return self.note("it was not started after all")

    def restore(self, used: Mapping[str, Used], landed: Iterable[str]) -> None:
        """Go on counting where an earlier coordinator broke off."""
        self._used.update(used)
        self.landed += landed

    def counts(self, task: str) -> Counts:
        """What the task has used up."""
        used = self._used[task]
        return Counts(attempts=used.attempts, allowed=self._context.options.attempts, conflicts=used.conflicts)

    def ready(self) -> int:
        """How many tasks could start if nothing stood in their way but capacity and accounts."""
        return len(self._dispatcher.ready())

    def failures(self, task: str) -> tuple[Failure, ...]:
        """What went wrong before, for the next prompt (A-8)."""
        return self._used[task].failures

    def counted(self, task: str, outcome: Outcome, saved_ref: str | None) -> None:
        """Count an ended attempt, as far as it counts."""
        self._used[task] = count(self._used[task], outcome, self._number(task), saved_ref)

    def sent_back(self, verdict: SentBack, saved_ref: str | None) -> None:
        """Count work that landing sent back."""
        self._used[verdict.task] = count_sent_back(
            self._used[verdict.task],
            verdict.reason,
            self._number(verdict.task),
            saved_ref,
            conflict=verdict.failure is FailureKind.CONFLICT,
            tail=verdict.gate.output_tail if isinstance(verdict.gate, GateRed) else "",
        )

    def _number(self, task: str) -> int:
        return len(self._context.recorder.run.tasks[task].attempts)

    async def again(self, task: str, reason: str, saved_ref: str | None = None) -> None:
        """Another attempt will follow."""
        await self._context.recorder.record(
            TaskRequeued(at=self._context.clock.now(), task=task, reason=reason, saved_ref=saved_ref)
        )
        self._dispatcher.back(task)

    def give_up_waiting(self, saved: Mapping[str, str]) -> None:
        """The run ends while tasks wait for another attempt: the tracker has them as ours, and they are open again.
        `saved`: refs of work whose workspaces wait."""
        for task in self._context.recorder.run.tasks.values():
            if task.state is TaskState.PENDING and task.attempts:
                last = self._used[task.id].failures[-1:]
                why = "".join(f": {failure.reason}" for failure in last)
                kept = saved.get(task.id) or (last[0].saved_ref if last else None)
                note = self.note(f"the run ended before another attempt{why}", saved_ref=kept)
                self._closing.write(task.id, Progress.OPEN, note)

    async def landed_as(self, task: str, commit: str | None) -> bool:
        """The landing queue has recorded it; whether the task's group has ended with it."""
        self._dispatcher.landed(task)
        self.landed.append(task)
        note = self.note(commit=commit)
        self._closing.write(task, Progress.DONE, note)
        if found := self.discovered(task):
            self._closing.discover(task, found, note)
        return await self._phases.task_moved(task) is not None

    def discovered(self, task: str) -> tuple[Discovery, ...]:
        """What its agent came across in the attempt that landed."""
        outcome = self._context.recorder.run.tasks[task].attempts[-1].outcome
        return outcome.discovered if isinstance(outcome, Succeeded) else ()

    async def unchanged(self, task: str, branch: str, summary: str) -> None:
        """An explicit no_change counts as landed, with no commit (A-3)."""
        await self._context.recorder.record(
            Landed(at=self._context.clock.now(), task=task, commit=None, branch=branch, remark=summary)
        )
        await self.landed_as(task, None)

    async def failed(self, task: str, reason: str, saved_ref: str | None) -> None:
        """No attempts left."""
        await self._context.recorder.record(
            TaskFailed(at=self._context.clock.now(), task=task, reason=reason, saved_ref=saved_ref)
        )
        await self._over(task, reason, saved_ref)

    async def blocked(self, task: str, reason: str, saved_ref: str | None) -> None:
        """Work on it was taken up and cannot go on without a person."""
        await self.cannot_start(task, reason, saved_ref, told=True)
        await self._over(task, reason, saved_ref)

    async def refused(self, task: str, reason: str) -> None:
        """The tracker does not give it out. It is not told to open it again: somebody else may have it."""
        await self.cannot_start(task, reason)
        await self._block_dependants(task, "is not to be had")

    async def taken(self, task: str, why: str, saved_ref: str | None) -> None:
        """Somebody closed or took it while it was worked on. The tracker is not told: the task is theirs."""
        await self.cannot_start(task, f"{why}, so its work was not landed", saved_ref)
        await self._block_dependants(task, "was closed or taken by somebody else while it ran")

    async def cannot_start(self, task: str, reason: str, saved_ref: str | None = None, *, told: bool = False) -> None:
        """Something it needs did not land. Unless it is `told`, the tracker's own state of the task is still true."""
        self._closing.give_back(task, self.not_started())
        await self._context.recorder.record(
            TaskBlocked(at=self._context.clock.now(), task=task, reason=reason, saved_ref=saved_ref, told=told)
        )
        await self._phases.task_moved(task)

    async def cancelled(self, task: str, reason: str, saved_ref: str | None) -> None:
        """The run was stopped; the task stays open in the tracker."""
        await self._context.recorder.record(
            TaskCancelled(at=self._context.clock.now(), task=task, reason=reason, saved_ref=saved_ref)
        )
        self._closing.write(task, Progress.OPEN, self.note(reason, saved_ref=saved_ref))
        await self._phases.task_moved(task)

    async def _over(self, task: str, reason: str, saved_ref: str | None) -> None:
        # open again, not blocked: once a person has looked, the next run shall take it up without being told
        self._closing.write(task, Progress.OPEN, self.note(reason, saved_ref=saved_ref))
        await self._phases.task_moved(task)
        await self._block_dependants(task)

    async def _block_dependants(self, task: str, how: str = "failed") -> None:
        for blocked in self._dispatcher.failed(task, how):
            await self.cannot_start(blocked.task, blocked.reason)

    async def warn(self, message: str, task: str | None = None) -> None:
        """Say something a person should know."""
        await self._context.recorder.record(Warned(at=self._context.clock.now(), message=message, task=task))
