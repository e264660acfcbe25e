"""The loop: fill capacity, await one thing that happened, feed it back, fill again.

Everything that happens comes in as one message on one queue, so the loop's own state needs no locks. It ends when
nothing runs, nothing waits for landing and nothing can start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import assert_never

from maestro.engine.beside import beside
from maestro.engine.caution import Caution
from maestro.engine.checkout import CheckoutWatch
from maestro.engine.context import RunContext
from maestro.engine.crew import Crew
from maestro.engine.dispatch import Dispatch
from maestro.engine.endings import Endings
from maestro.engine.finish import finish, missing_from_branch
from maestro.engine.holds import Holds
from maestro.engine.landing import LandingDesk
from maestro.engine.messages import (
    AttemptOver,
    Broken,
    ClaimRefused,
    Delivered,
    Interrupted,
    Message,
    NotStarted,
    NotToBeHad,
    Nudge,
    SessionOver,
    StillOurs,
)
from maestro.engine.phases import GroupPhases
from maestro.engine.putaway import save_what_waits
from maestro.engine.reserving import Reservations
from maestro.engine.settle import Settling
from maestro.engine.sharing import closing_for
from maestro.engine.spending import Spending
from maestro.engine.starts import Starts
from maestro.integration.verdicts import LandingVerdict
from maestro.model.events import DispatchStopped, Event, RunResumed, RunStarted, Warned
from maestro.model.plan import ScheduleKind
from maestro.model.run import Run
from maestro.model.states import TaskState
from maestro.planning.schedule import Dispatcher


class Engine:
    """Runs one plan to its end."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._crew = Crew(self.tell)
        self._dispatcher = Dispatcher(context.plan, keep_going=context.options.keep_going)
        self._holds = Holds(
            context.recorder.record, context.clock, self._nudge_in, base_seconds=context.options.hold_seconds
        )
        self._closing = closing_for(context.tracker, context.recorder, context.clock)
        self._desk = LandingDesk(context, self._delivered, self._wants_workspaces)
        self._phases = phases = GroupPhases(context)
        self._caution = Caution(context, lambda: len(self._desk.waiting) + len(self._endings.asking))
        self._reservations = Reservations(context, self._crew, self.tell)
        self._dispatch = Dispatch(context, self._dispatcher, phases, self._holds, self._caution, self._reservations)
        self._settling = Settling(context, self._dispatcher, self._closing, phases)
        self._starts = Starts(
            context,
            dispatcher=self._dispatcher,
            dispatch=self._dispatch,
            holds=self._holds,
            phases=phases,
            desk=self._desk,
            closing=self._closing,
            settling=self._settling,
            reservations=self._reservations,
            crew=self._crew,
            tell=self.tell,
        )
        self._endings = Endings(
            context,
            settling=self._settling,
            closing=self._closing,
            phases=phases,
            holds=self._holds,
            desk=self._desk,
            crew=self._crew,
            tell=self.tell,
            stop_dispatch=self._stop_dispatch,
        )
        self._checkout = CheckoutWatch(
            context.git,
            [*context.layout.state_dirs(), *map(context.layout.repository.joinpath, context.tracker.own_files())],
            context.recorder,
            context.clock,
            self._starts.traces,
            self._stop_dispatch,
        )
        self._spending = Spending(context, self.tell)
        self._stopped: str | None = None  # why nothing new starts
        self._halted: str | None = None  # why what runs is stopped
        self._interrupted = False
        self._deserted: str | None = None  # those who did the work are gone
        self._looking = False  # at the checkout, after an attempt

    def tell(self, message: Message) -> None:
        """Put a message to the loop; from the event loop's own thread."""
        self._inbox.put_nowait(message)

    async def run(self, start: RunStarted, remarks: Sequence[str] = ()) -> Run:
        """Carry the plan out; returns the ended run. MaestroError where the run itself could not go on.

        `remarks`: what a person should know of the repository before anything starts.
        """
        await self._record(start, remarks)
        return await self._carry_out(self._begin)

    async def resume(self, resumed: RunResumed, past: Sequence[Event], remarks: Sequence[str] = ()) -> Run:
        """Go on with a run that the recorder knows already; all else as `run`. `past`: its events so far."""
        from maestro.engine.recover import Recovery  # most runs come to their end at once
        from maestro.model.recovery import leftover

        said = self._context.recorder.run.warnings
        await self._record(resumed, [*_of_tail(resumed), *(remark for remark in remarks if remark not in said)])
        self._holds.restore(past)
        if self._context.keys is not None:
            self._context.keys.restore(past)
        self._spending.restore(past)
        recovery = Recovery(
            self._context,
            leftover([*past, resumed]),
            dispatcher=self._dispatcher,
            dispatch=self._dispatch,
            phases=self._phases,
            desk=self._desk,
            closing=self._closing,
            settling=self._settling,
            starts=self._starts,
            endings=self._endings,
        )

        async def begin() -> None:
            await self._look_first()
            await recovery.carry_out()

        return await self._carry_out(begin)

    async def _record(self, first: Event, remarks: Sequence[str]) -> None:
        warnings = (Warned(at=self._now(), message=remark) for remark in remarks)
        await self._context.recorder.record(first, *warnings)

    async def _look_first(self) -> None:
        """At the checkout as it is before anything is done."""
        if self._context.workspaces.kind != "none":  # in place, agents are meant to change the checkout
            await self._checkout.start()

    async def _begin(self) -> None:
        """The first branch, and the tasks that cannot run at all."""
        levels = self._context.plan.schedule is ScheduleKind.LEVELS
        async with beside(self._look_first()):  # the branch is none of those that are compared
            await self._desk.open(0 if levels else None)
        self._starts.watch_desk()
        for blocked in self._dispatcher.initially_blocked():
            await self._settling.cannot_start(blocked.task, blocked.reason)

    async def _carry_out(self, begin: Callable[[], Awaitable[None]]) -> Run:
        """From wherever `begin` leads to the end."""
        context = self._context
        closing = self._crew.spawn(self._closing.run(), "tracker")
        try:
            await self._spending.open()
            if context.keys is not None:
                await context.keys.start()
            await begin()
            await self._loop()
            await self._desk.close_queue()
            async with beside(self._checkout.look()):
                await self._desk.clear_away()
            await self._drain()
            self._settling.give_up_waiting(await save_what_waits(context))
        except BaseException:
            await self._abandon()
            raise
        finally:
            self._closing.finish()
            if context.keys is not None:
                await context.keys.close()
        await closing
        missing = await asyncio.to_thread(missing_from_branch, context, context.recorder.run)
        await self._crew.wait()  # a last look ahead: nothing is told after the end
        await self._drain()
        if not missing:  # else the tasks' own branches may be all that keeps their work
            await self._desk.drop_branches(self._settling.landed)
        interrupted, stopped = self._how_it_ended()
        budget = self._spending.figures()
        return await finish(context, interrupted=interrupted, stopped=stopped, missing=missing, budget=budget)

    def _how_it_ended(self) -> tuple[bool, str | None]:
        """Whether it was interrupted, and why it ended early. That everybody left once all was done is no news."""
        if self._interrupted:
            return True, self._halted or "interrupted"
        if self._deserted is None:
            return False, self._stopped
        states = {task.state for task in self._context.recorder.run.tasks.values()}
        cut_off = not states <= {TaskState.LANDED, TaskState.FAILED, TaskState.BLOCKED}
        return cut_off, self._deserted if cut_off else None

    async def _loop(self) -> None:
        while True:
            await self._drain()  # an interrupt that came meanwhile is heard before anything is started
            if self._stopped is None and not self._looking:
                if (spent := await self._spending.look()) is not None and self._dispatcher.ready(1):
                    await self._stop_dispatch(spent)
                elif spent is None and (low := await self._starts.fill(lambda: self._is_busy)) is not None:
                    await self._stop_dispatch(low)
            if self._stopped is None and not self._looking:
                self._starts.claim_ahead()
            if not self._is_busy and not self._looking:
                if self._stopped is not None or not self._dispatcher.ready(1):
                    break
                if (wait := self._holds.next_start_in()) is not None:
                    self._nudge_in(wait)
                elif self._dispatch.next_start() is None:
                    break
                else:
                    continue  # a hold ended just now
            if self._inbox.empty() and not self._looking and self._starts.are_settled:
                self._starts.say_settled(True)
            await self._handle(await self._inbox.get())
        if self._stopped is None and self._dispatcher.waiting():
            left = f"{self._dispatcher.waiting()} task(s) were neither started nor blocked: this is a bug in maestro"
            await self._context.recorder.record(Warned(at=self._now(), message=left))
        self._reservations.close()
        self._closing.give_all_back(self._settling.not_started())

    @property
    def _is_busy(self) -> bool:
        """Whether something is under way that may let more start."""
        return bool(self._starts.are_busy or self._desk.waiting or self._endings.asking)

    async def _drain(self) -> None:
        """What came in while the loop was not listening."""
        while not self._inbox.empty():
            await self._handle(self._inbox.get_nowait())

    async def _handle(self, message: Message) -> None:
        match message:
            case AttemptOver(ended=ended):
                self._starts.forget(ended.task)
                await self._endings.attempt_over(ended, self._bases())
                self._look_if_due()
            case StillOurs(ended=ended, taken=taken):
                await self._endings.answered(ended, taken, self._bases())
            case ClaimRefused(task=task, reason=reason):
                await self._never_began(task)
                await self._settling.refused(task, f"the tracker does not give it out: {reason}")
            case NotToBeHad(task=task, reason=reason):
                self._dispatcher.take_up(task)
                await self._settling.refused(task, reason)
            case NotStarted(task=task):
                await self._never_began(task)
                self._dispatcher.back(task)
            case Delivered(verdict=verdict):
                if await self._endings.landing_over(verdict):
                    await self._checkout.look()  # between groups
                await self._caution.look()
            case Interrupted():
                await self._interrupt(message)
            case SessionOver(reason=reason):
                await self._session_over(reason)
            case Broken(error=error):
                raise error
            case Nudge():
                pass
            case _ as never:
                assert_never(never)

    async def _never_began(self, task: str) -> None:
        await self._holds.ended(self._dispatch.chosen(task).agent.account, task, None)
        self._starts.forget(task)

    def _wants_workspaces(self) -> bool:
        """Whether a task that has none yet will ask for a workspace, for all that is known now."""
        return self._dispatcher.waiting() > 0 or self._starts.want_workspaces

    def _nudge_in(self, seconds: float) -> None:
        """Look again then."""
        asyncio.get_running_loop().call_later(max(seconds, 0.0) + 0.05, self.tell, Nudge())

    def _bases(self) -> dict[str, str]:
        """Of those that agents work at; who is to be judged comes to landing by itself."""
        attempts = self._starts.attempts.items()
        return {task: attempt.base for task, attempt in attempts if attempt.spawned and attempt.is_at_work()}

    def _look_if_due(self) -> None:
        if self._checkout.is_due():
            self._looking = True
            self._crew.spawn(self._look(), "look at the checkout")

    async def _look(self) -> None:
        """Look at the checkout while landing goes on; nothing starts before it is known to be as it was."""
        try:
            await self._checkout.look()
        finally:
            self._looking = False
            self.tell(Nudge())

    async def _delivered(self, verdict: LandingVerdict) -> None:
        self.tell(Delivered(verdict))

    async def _stop_dispatch(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._starts.stopped = True
            self._reservations.stop()
            self._closing.give_all_back(self._settling.not_started())
            await self._context.recorder.record(DispatchStopped(at=self._now(), reason=reason))
            for attempt in self._starts.attempts.values():
                if attempt.withdraw():  # it was offered, and nobody has begun
                    attempt.stop(reason)

    async def _interrupt(self, message: Interrupted) -> None:
        self._interrupted = True
        await self._stop_dispatch(message.reason)
        if message.level == 1:
            self._stop_after_grace()
        elif self._halted is None:
            self._halted = message.reason
            for preparation in self._starts.preparing:
                preparation.cancel()
            for attempt in self._starts.attempts.values():
                attempt.stop(message.reason)
            await self._desk.stop(message.reason)

    def _stop_after_grace(self) -> None:
        grace = self._context.options.grace_seconds
        second = Interrupted(2, f"the grace time of {grace:g} s is over")
        asyncio.get_running_loop().call_later(grace, self.tell, second)

    async def _session_over(self, reason: str) -> None:
        """What is reported lands within the grace time; nobody will finish the rest."""
        self._deserted = reason
        await self._stop_dispatch(reason)
        self._stop_after_grace()
        for attempt in self._starts.attempts.values():
            if not attempt.has_reported():
                attempt.stop(reason)

    async def _abandon(self) -> None:
        """The run cannot go on: no process and no half-told story is left behind."""
        for attempt in self._starts.attempts.values():
            attempt.stop("the run could not go on")
        await self._desk.stop("the run could not go on")
        await self._crew.cut_off()
        await self._endings.put_all_away()
        await self._desk.abandon()
        self._reservations.close()

    def _now(self) -> datetime:
        return self._context.clock.now()


def _of_tail(resumed: RunResumed) -> list[str]:
    if not resumed.torn_bytes:
        return []
    return [f"the journal ended in half a record: its last {resumed.torn_bytes} byte(s) were cut off"]
