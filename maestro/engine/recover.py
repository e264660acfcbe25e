"""Goes on with a run whose coordinator died or ended early (E-6).

The journal says what was begun and not finished; refs, workspaces, processes and the tracker say how far it got. Each
act is either seen to have been done and then said, or done again where doing it twice is as good as once. In the order
below, so that a coordinator which dies in here as well leaves the same questions with fewer of them open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from maestro.engine.attempt import Begun, Ended
from maestro.engine.closing import Closing
from maestro.engine.context import RunContext
from maestro.engine.dispatch import Dispatch
from maestro.engine.endings import Endings
from maestro.engine.goingon import going_on
from maestro.engine.landing import LandingDesk
from maestro.engine.phases import GroupPhases
from maestro.engine.putaway import put_away
from maestro.engine.reconcile import Difference, closed_by_hand, differences
from maestro.engine.settle import Settling
from maestro.engine.starts import Starts
from maestro.errors import MaestroError
from maestro.model.events import Landed, Landing, Warned
from maestro.model.outcome import Cancelled, Succeeded
from maestro.model.plan import ScheduleKind
from maestro.model.recovery import Debt, Leftover, OpenAttempt, Unanswered
from maestro.model.states import FINAL, TaskState
from maestro.model.task import Progress
from maestro.planning.schedule import Dispatcher
from maestro.trackers.base import Note


class Recovery:
    """Brings the parts of an engine to where the earlier coordinator left them."""

    def __init__(
        self,
        context: RunContext,
        past: Leftover,
        *,
        dispatcher: Dispatcher,
        dispatch: Dispatch,
        phases: GroupPhases,
        desk: LandingDesk,
        closing: Closing,
        settling: Settling,
        starts: Starts,
        endings: Endings,
    ) -> None:
        self._context = context
        self._past = past
        self._dispatcher = dispatcher
        self._dispatch = dispatch
        self._phases = phases
        self._desk = desk
        self._closing = closing
        self._settling = settling
        self._starts = starts
        self._endings = endings

    async def carry_out(self) -> None:
        """Everything that must be known before the loop goes on."""
        newly = await self._finish_half_landing()
        await self._desk.take_up(self._context.recorder.run, levels=self._context.plan.schedule is ScheduleKind.LEVELS)
        self._starts.watch_desk()
        self._restore()
        await self._compare_with_tracker()
        self._pay_debts(newly)
        await self._block_what_cannot_start()
        await self._claim_again()
        for begun in self._past.open_attempts:
            self._adopt(begun)
        for ended in self._past.unanswered:
            if self._state(ended.task) in (TaskState.RUNNING, TaskState.SUBMITTED):
                await self._answer(ended)
        for group in self._context.recorder.run.groups.values():
            await self._phases.task_moved(group.tasks[0])

    async def _finish_half_landing(self) -> list[Debt]:
        """The branch itself says whether a landing that was announced took place; what the tracker is owed for it."""
        half = self._past.half_landing
        if half is None or not await asyncio.to_thread(self._is_done, half):
            return []
        debts = []
        for task, commit in zip(half.tasks, half.commits, strict=True):
            if self._state(task) is TaskState.SUBMITTED:
                await self._context.recorder.record(
                    Landed(at=self._now(), task=task, commit=commit, branch=half.branch)
                )
                debts.append(Debt(task=task, progress=Progress.DONE, commit=commit))
                await self._remove_workspace(task)
        return debts

    async def _remove_workspace(self, task: str) -> None:
        """The task is on the branch; where its workspace cannot be removed, `maestro clean` finds it."""
        workspaces = self._context.workspaces
        if self._context.options.keep_workspaces:
            return
        with suppress(MaestroError, OSError):
            if (workspace := await asyncio.to_thread(workspaces.adopt, self._home(task))) is not None:
                await asyncio.to_thread(workspaces.remove, workspace)

    def _is_done(self, half: Landing) -> bool:
        git, ref = self._context.git, f"refs/heads/{half.branch}"
        return git.commit_of(ref) is not None and git.is_ancestor(half.new_tip, ref)

    def _restore(self) -> None:
        """What the parts knew."""
        run = self._context.recorder.run
        states = {task.id: task.state for task in run.tasks.values()}
        landed = [task for task, state in states.items() if state is TaskState.LANDED]
        self._settling.restore(self._past.used, landed)
        for task in landed:
            self._dispatcher.landed(task)
        for task, state in states.items():
            if state in (TaskState.RUNNING, TaskState.SUBMITTED):
                self._dispatcher.take_up(task)
        self._phases.restore()

    async def _block_what_cannot_start(self) -> None:
        """Tasks that failed or were blocked hold up others; the journal may not have come to say so."""
        over = [task for task, state in self._states().items() if state in (TaskState.FAILED, TaskState.BLOCKED)]
        for task in over:
            for blocked in self._dispatcher.over(task):
                if self._state(blocked.task) is TaskState.PENDING:
                    await self._settling.cannot_start(blocked.task, blocked.reason)
        for blocked in self._dispatcher.initially_blocked():
            if self._state(blocked.task) is TaskState.PENDING:
                await self._settling.cannot_start(blocked.task, blocked.reason)

    async def _compare_with_tracker(self) -> None:
        """What others did to the tasks meanwhile."""
        found = await self._differences()
        mistaken = [one.task for one in found if not one.is_theirs]
        open_again = self._settling.note("it has not landed")
        stands: set[str] = set()
        if self._closing.is_shared:
            for task in mistaken:
                self._closing.write(task, Progress.OPEN, open_again)
        elif mistaken:
            for task in mistaken:
                await self._closing.write_now(task, Progress.OPEN, open_again)
            stands = {one.task for one in await self._differences()}.intersection(mistaken)
        for one in found:
            await self._settle_difference(closed_by_hand(one.task) if one.task in stands else one)

    async def _differences(self) -> list[Difference]:
        return await asyncio.to_thread(differences, self._context, self._closing.is_shared)

    async def _settle_difference(self, one: Difference) -> None:
        if not one.is_theirs:
            await self._warn(one.task, f"{one.what}: it was opened again")
        elif (state := self._state(one.task)) is TaskState.PENDING:
            await self._settling.refused(one.task, one.what)
        elif state not in FINAL:  # else one that it waits for was theirs too, and it is blocked for that
            self._endings.theirs[one.task] = one.what

    async def _claim_again(self) -> None:
        """What is worked on for this run, in a tracker that others work on too: somebody may have given it back
        meanwhile for a run that seemed dead. Whether it is another's by now is asked before it lands."""
        if not self._closing.is_shared:
            return
        active = [task for task, state in self._states().items() if state in (TaskState.RUNNING, TaskState.SUBMITTED)]
        await asyncio.gather(*(self._closing.claim(task, self._settling.note()) for task in active))

    def _pay_debts(self, newly: Collection[Debt]) -> None:
        """Tell the tracker what it was not told; claims of tasks that will not start are given back."""
        for debt in (*self._past.debts, *newly):
            self._closing.write(debt.task, debt.progress, self._note(debt))
        for task in (*self._past.undiscovered, *(debt.task for debt in newly)):
            if found := self._settling.discovered(task):
                self._closing.discover(task, found, self._settling.note(commit=self._commit(task)))
        owed = {debt.task for debt in self._past.debts}
        ahead = []
        for one in self._context.recorder.run.tasks.values():
            if one.claimed and one.state is TaskState.PENDING and not one.attempts:
                ahead.append(one.id)
            elif one.claimed and not one.attempts and one.state in FINAL and one.id not in owed:
                self._closing.write(one.id, Progress.OPEN, self._settling.not_started())
        # claimed again, which costs nothing where it is ours still: so it is known, and given back if it never starts
        self._closing.claim_ahead(ahead, self._settling.note(), len(ahead))

    def _note(self, debt: Debt) -> Note:
        if debt.progress is Progress.DONE:
            return self._settling.note(commit=debt.commit)
        return self._settling.note(debt.reason, saved_ref=debt.saved_ref)

    def _adopt(self, begun: OpenAttempt) -> None:
        self._starts.adopt(
            begun.task,
            begun.number,
            begun.base,
            Begun(home=self._home(begun.task), since=begun.since, process=begun.process, stopping=begun.stopping),
        )

    async def _answer(self, ended: Unanswered) -> None:
        """Decide what follows an attempt that had ended. Its workspace may be there still, or put away already."""
        context, outcome = self._context, ended.outcome
        workspace = await asyncio.to_thread(context.workspaces.adopt, self._home(ended.task))
        saved = None
        if not (isinstance(outcome, Succeeded) and not outcome.no_change):
            task, agent = context.recorder.run.tasks[ended.task], self._dispatch.chosen(ended.task).agent
            waits = going_on(task, len(task.attempts) + 1, agent, context.workspaces) is not None
            if workspace is not None and not waits:
                saved, workspace = await put_away(context, workspace, ended.task), None
            name = context.names[ended.task]
            saved = saved or await asyncio.to_thread(context.workspaces.saved, context.run_id, name)
        if isinstance(outcome, Cancelled):  # the end of the run that wanted it is none any more
            self._settling.counted(ended.task, outcome, saved)
            await self._settling.again(ended.task, outcome.reason, saved)
            return
        account = self._dispatch.chosen(ended.task).agent.account
        await self._endings.attempt_over(Ended(ended.task, outcome, workspace, ended.base, saved, account), {})

    def _home(self, task: str) -> Path:
        return self._context.home_of(self._context.names[task])

    def _commit(self, task: str) -> str | None:
        return self._context.recorder.run.tasks[task].commit

    def _state(self, task: str) -> TaskState:
        return self._context.recorder.run.tasks[task].state

    def _states(self) -> Mapping[str, TaskState]:
        return {task.id: task.state for task in self._context.recorder.run.tasks.values()}

    async def _warn(self, task: str, message: str) -> None:
        await self._context.recorder.record(Warned(at=self._now(), message=message, task=task))

    def _now(self) -> datetime:
        return self._context.clock.now()
