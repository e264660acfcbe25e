"""The loop: fill capacity, await one thing that happened, feed it back, fill again.

Everything that happens comes in as one message on one queue, so the loop's own state needs no locks. It ends when
nothing runs, nothing waits for landing and nothing can start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, assert_never

from maestro.engine.attempt import AttemptRun, Ended, put_away
from maestro.engine.checkout import CheckoutWatch
from maestro.engine.context import Brief, RunContext
from maestro.engine.dispatch import Dispatch
from maestro.engine.finish import finish, missing_from_branch
from maestro.engine.holds import Holds
from maestro.engine.landing import LandingDesk
from maestro.engine.lookahead import Lookahead
from maestro.engine.messages import (
    AttemptOver,
    Broken,
    ClaimRefused,
    Delivered,
    Interrupted,
    Message,
    Nudge,
    SessionOver,
    StillOurs,
)
from maestro.engine.phases import GroupPhases
from maestro.engine.settle import Settling
from maestro.engine.sharing import closing_for
from maestro.errors import MaestroError
from maestro.integration.verdicts import LandedAs, LandingVerdict, SentBack, Submission, Unlandable
from maestro.model.events import DispatchStopped, RunStarted, Warned
from maestro.model.gate import GateUnjudged, NotJudged
from maestro.model.outcome import Succeeded
from maestro.model.plan import ScheduleKind
from maestro.model.retry import AskPerson, GiveUp, Hold, Retry, Stop, Submit, decide, decide_sent_back
from maestro.model.run import Run
from maestro.model.states import TaskState
from maestro.planning.schedule import Dispatcher
from maestro.workspaces.culprit import AttemptTrace


class Engine:
    """Runs one plan to its end."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        plan = context.plan
        self._dispatcher = Dispatcher(plan, keep_going=context.options.keep_going)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._phases = GroupPhases(context)
        self._holds = Holds()
        self._dispatch = Dispatch(context, self._dispatcher, self._phases, self._holds)
        self._closing = closing_for(context.tracker, context.recorder, context.clock)
        self._desk = LandingDesk(context, self._delivered)
        self._lookahead = Lookahead(context)
        self._settling = Settling(context, self._dispatcher, self._closing, self._phases)
        self._checkout = CheckoutWatch(
            context.git,
            [*context.layout.state_dirs(), *map(context.layout.repository.joinpath, context.tracker.own_files())],
            context.recorder,
            context.clock,
            self._traces,
            self._stop_dispatch,
        )
        self._attempts: dict[str, AttemptRun] = {}
        self._lately: list[AttemptTrace] = []  # ended since the last look at the checkout
        self._tasks: set[asyncio.Task[None]] = set()
        self._level_of = {task: n for n, level in enumerate(plan.stages) for task in level}
        self._preparing: set[asyncio.Task[None]] = set()  # pre-execution phases under way
        self._asking: dict[str, Ended] = {}  # good work; whether the tracker still has it as ours
        self._said_low = False  # that the disk is
        self._stopped: str | None = None  # why nothing new starts
        self._halted: str | None = None  # why what runs is stopped
        self._interrupted = False
        self._deserted: str | None = None  # those who did the work are gone
        self._looking = False  # at the checkout, after an attempt
        self._settled: bool | None = None  # what `on_settled` was told last

    def tell(self, message: Message) -> None:
        """Put a message to the loop; from the event loop's own thread."""
        self._inbox.put_nowait(message)

    async def run(self, start: RunStarted, remarks: Sequence[str] = ()) -> Run:
        """Carry the plan out; returns the ended run. MaestroError where the run itself could not go on.

        `remarks`: what a person should know of the repository before anything starts.
        """
        context = self._context
        await context.recorder.record(start, *(Warned(at=self._now(), message=remark) for remark in remarks))
        if context.workspaces.kind != "none":  # in place, agents are meant to change the checkout
            await self._checkout.start()
        closing = self._spawn(self._closing.run(), "tracker")
        try:
            levels = context.plan.schedule is ScheduleKind.LEVELS
            await self._desk.open(0 if levels else None)
            self._watch_background()
            for blocked in self._dispatcher.initially_blocked():
                await self._settling.cannot_start(blocked.task, blocked.reason)
            await self._loop()
            await self._desk.close()
            await self._drain()
        except BaseException:
            await self._abandon()
            raise
        finally:
            self._closing.finish()
        await closing
        await self._checkout.look()
        await asyncio.gather(*self._tasks)  # a last look ahead: nothing is told after the end
        await self._drain()
        missing = await asyncio.to_thread(missing_from_branch, context, context.recorder.run)
        if not missing:  # else the tasks' own branches may be all that keeps their work
            await self._desk.drop_branches(self._settling.landed)
        interrupted, stopped = self._how_it_ended()
        return await finish(context, interrupted=interrupted, stopped=stopped, missing=missing)

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
                await self._fill()
                self._claim_ahead()
            if not self._is_busy and not self._looking:
                if self._stopped is not None or not self._dispatcher.ready(1):
                    break
                if (wait := self._holds.next_end(self._now())) is not None:
                    self._nudge_in(wait)
                elif self._dispatch.next_start() is None:
                    break
                else:
                    continue  # a hold ended just now
            if self._inbox.empty() and not self._is_starting():
                self._say_settled(True)
            await self._handle(await self._inbox.get())
        if self._stopped is None and self._dispatcher.waiting():
            left = f"{self._dispatcher.waiting()} task(s) were neither started nor blocked: this is a bug in maestro"
            await self._context.recorder.record(Warned(at=self._now(), message=left))
        self._closing.give_all_back(self._settling.not_started())

    @property
    def _is_busy(self) -> bool:
        """Whether something is under way that may let more start."""
        return bool(self._attempts or self._desk.waiting or self._preparing or self._asking)

    async def _drain(self) -> None:
        """What came in while the loop was not listening."""
        while not self._inbox.empty():
            await self._handle(self._inbox.get_nowait())

    async def _fill(self) -> None:
        """Start as many as capacity allows."""
        while (task := self._dispatch.next_start()) is not None:
            if not await self._disk_has_room():
                return
            self._say_settled(False)
            if not self._phases.is_ready(task):
                self._phases.begin(task)
                preparation = self._spawn(self._phases.prepare(task), f"prepare the group of {task}")
                self._preparing.add(preparation)
                preparation.add_done_callback(self._prepared)
                continue
            await self._open_level_of(task)
            self._start(task)

    def _is_starting(self) -> bool:
        """Whether something is on its way that will be under way without anything else having to happen."""
        return bool(self._preparing) or self._looking or any(not attempt.spawned for attempt in self._attempts.values())

    def _say_settled(self, settled: bool) -> None:
        if self._context.on_settled is not None and self._settled is not settled:
            self._settled = settled
            self._context.on_settled(settled)

    def _spawned(self) -> None:
        if self._context.on_settled is not None:  # else nobody asks, and each start is spared a round
            self.tell(Nudge())

    def _claim_ahead(self) -> None:
        """Claim what will start next: neither a freed slot nor what a landing allows waits for a slow tracker."""
        if not self._closing.is_shared:
            return
        limit = self._context.options.max_parallel
        ready = self._dispatcher.ready(limit) if len(self._dispatch.running) >= limit else []
        self._closing.claim_ahead([*ready, *self._dispatcher.next_after_active(limit)], self._settling.note(), limit)

    async def _open_level_of(self, task: str) -> None:
        """Each level has a branch, also one of which nothing can run (M-2)."""
        while self._desk.level is not None and self._desk.level < self._level_of.get(task, 0):
            await self._desk.open(self._desk.level + 1)
            self._watch_background()

    async def _disk_has_room(self) -> bool:
        """Whether a workspace may be made; where nothing under way will free any space, the run stops (W-6)."""
        if self._dispatch.low_disk() is None:
            return True
        await self._desk.workspaces_gone()
        if (low := self._dispatch.low_disk()) is None:
            return True
        if not self._is_busy:
            await self._stop_dispatch(low)
        elif not self._said_low:
            self._said_low = True
            await self._settling.warn(f"{low}: no workspace is made until some space is free")
        return False

    def _prepared(self, preparation: asyncio.Task[None]) -> None:
        self._preparing.discard(preparation)
        self.tell(Nudge())

    def _start(self, task: str) -> None:
        self._dispatcher.start(task)
        chosen = self._dispatch.chosen(task)
        self._dispatch.running[task] = chosen
        number = len(self._context.recorder.run.tasks[task].attempts) + 1
        brief = Brief(
            task=self._context.plan.tasks[task],
            chosen=chosen,
            own_files=self._context.plan.files.get(task, ()),
            sibling_files={
                other: files
                for other in self._attempts
                if other != task and (files := self._context.plan.files.get(other, ()))
            },
            group_summary=self._phases.summary(task),
            failures=self._settling.failures(task),
        )
        attempt = AttemptRun(self._context, brief, number, self._desk.tip, self._spawned)
        self._attempts[task] = attempt
        self._spawn(self._attempt(attempt, number), f"attempt {attempt.attempt_id}")

    async def _attempt(self, attempt: AttemptRun, number: int) -> None:
        if number == 1 and (refused := await self._closing.claim(attempt.task, self._settling.note())) is not None:
            self.tell(ClaimRefused(attempt.task, refused))
            return
        self.tell(AttemptOver(await attempt.run()))

    async def _look(self) -> None:
        """Look at the checkout while landing goes on; nothing starts before it is known to be as it was."""
        try:
            await self._checkout.look()
        finally:
            self._looking = False
            self.tell(Nudge())

    async def _delivered(self, verdict: LandingVerdict) -> None:
        self.tell(Delivered(verdict))

    async def _handle(self, message: Message) -> None:
        match message:
            case AttemptOver(ended=ended):
                await self._attempt_over(ended)
            case StillOurs(ended=ended, taken=taken):
                del self._asking[ended.task]
                await self._answered(ended, taken)
            case ClaimRefused(task=task, reason=reason):
                self._forget(task)
                await self._settling.refused(task, f"the tracker does not give it out: {reason}")
            case Delivered(verdict=verdict):
                await self._landing_over(verdict)
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

    async def _attempt_over(self, ended: Ended) -> None:
        attempt = self._forget(ended.task)
        if attempt is not None:
            self._lately.append(self._trace(attempt))
        outcome, task = ended.outcome, ended.task
        self._settling.counted(task, outcome, ended.saved_ref)
        decision = decide(outcome, self._settling.counts(task), self._now())
        match decision:
            case Submit():
                if self._closing.is_shared:
                    self._asking[task] = ended
                    self._spawn(self._ask(ended), f"ask whether {task} is still ours")
                else:
                    await self._submit(ended)
            case Hold(until=until, reason=reason):
                await self._hold(ended, until, reason)
            case Retry(reason=reason):
                await self._settling.again(task, reason)
            case GiveUp(reason=reason):
                await self._settling.failed(task, reason, ended.saved_ref)
            case AskPerson(reason=reason):
                await self._settling.blocked(task, reason, ended.saved_ref)
            case Stop(reason=reason):
                await self._settling.cancelled(task, reason, ended.saved_ref)
            case _ as never:
                assert_never(never)
        if self._checkout.is_due():
            self._looking = True
            self._spawn(self._look(), "look at the checkout")

    async def _ask(self, ended: Ended) -> None:
        """Ask the tracker, before anything lands: a person may have closed or taken the task while it ran."""
        self.tell(StillOurs(ended, await self._closing.taken(ended.task)))

    async def _answered(self, ended: Ended, taken: str | None) -> None:
        if taken is None:
            await self._submit(ended)
            return
        await self._settling.taken(ended.task, taken, await self._put_away(ended))

    async def _put_away(self, ended: Ended) -> str | None:
        """Save work that does not go on to landing; the ref it is saved under."""
        if ended.workspace is None:
            return ended.saved_ref
        return await put_away(self._context, ended.workspace, ended.task)

    async def _submit(self, ended: Ended) -> None:
        outcome, task = ended.outcome, ended.task
        assert isinstance(outcome, Succeeded)
        if outcome.no_change or outcome.commit is None:
            await self._settling.unchanged(task, self._context.recorder.run.branch, outcome.summary)
            return
        assert ended.workspace is not None
        self._look_ahead(task, outcome.commit)
        await self._desk.submit(self._submission(ended, outcome, outcome.commit), ended.workspace)
        await self._phases.task_moved(task)

    def _look_ahead(self, task: str, commit: str) -> None:
        """See in the background whether the new work conflicts with what others have committed so far."""
        if self._context.options.conflict_detection and self._attempts:
            bases = {other: attempt.base for other, attempt in self._attempts.items()}
            self._spawn(self._lookahead.look(task, commit, bases), f"look ahead from {task}")

    def _submission(self, ended: Ended, outcome: Succeeded, commit: str) -> Submission:
        return Submission(
            task=ended.task,
            title=self._context.plan.tasks[ended.task].title,
            commit=commit,
            base=ended.base,
            run_id=self._context.run_id,
            attempt=len(self._context.recorder.run.tasks[ended.task].attempts),
            summary=outcome.summary,
        )

    async def _hold(self, ended: Ended, until: datetime, reason: str) -> None:
        self._holds.hold(ended.account, until)
        await self._settling.again(ended.task, f"{ended.account} is on hold until {until:%H:%M:%S} UTC: {reason}")
        self._nudge_in((until - self._now()).total_seconds())

    async def _landing_over(self, verdict: LandingVerdict) -> None:
        match verdict:
            case LandedAs(task=task, commit=commit):
                self._desk.landed(task)
                if await self._settling.landed_as(task, commit):
                    await self._checkout.look()  # between groups
            case SentBack(task=task, reason=reason, failure=kind):
                saved = await self._desk.not_landed(task)
                self._settling.sent_back(verdict, saved)
                decision = decide_sent_back(kind, reason, self._settling.counts(task))
                match decision:
                    case Retry():
                        await self._settling.again(task, reason)
                    case AskPerson(reason=why):
                        await self._settling.blocked(task, why, saved)
                    case _:
                        await self._settling.failed(task, reason, saved)
            case Unlandable(task=task, reason=reason, gate=gate):
                saved = await self._desk.not_landed(task)
                if isinstance(gate, GateUnjudged) and gate.why is NotJudged.STOPPED:
                    await self._settling.cancelled(task, reason, saved)
                    return
                await self._settling.blocked(task, reason, saved)
                await self._stop_dispatch(f"nothing can land: {reason}")
            case _ as never:
                assert_never(never)

    async def _stop_dispatch(self, reason: str) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._closing.give_all_back(self._settling.not_started())
            await self._context.recorder.record(DispatchStopped(at=self._now(), reason=reason))

    async def _interrupt(self, message: Interrupted) -> None:
        self._interrupted = True
        await self._stop_dispatch(message.reason)
        if message.level == 1:
            self._stop_after_grace()
        elif self._halted is None:
            self._halted = message.reason
            for preparation in self._preparing:
                preparation.cancel()
            for attempt in self._attempts.values():
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
        for attempt in self._attempts.values():
            if not attempt.has_reported():
                attempt.stop(reason)

    async def _abandon(self) -> None:
        """The run cannot go on: no process and no half-told story is left behind."""
        for attempt in self._attempts.values():
            attempt.stop("the run could not go on")
        await self._desk.stop("the run could not go on")
        for task in self._tasks - {asyncio.current_task()}:
            if not task.get_name().startswith("attempt "):
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ended in self._asking.values():
            with suppress(MaestroError):
                await self._put_away(ended)
        await self._desk.abandon()

    def _forget(self, task: str) -> AttemptRun | None:
        self._dispatch.running.pop(task, None)
        return self._attempts.pop(task, None)

    def _traces(self) -> Iterable[AttemptTrace]:
        """Who may have changed the checkout since the last look: what runs, and what has ended meanwhile."""
        lately, self._lately = self._lately, []
        return [*map(self._trace, self._attempts.values()), *lately]

    def _trace(self, attempt: AttemptRun) -> AttemptTrace:
        return AttemptTrace(
            task=attempt.task,
            marker=attempt.attempt_id,
            command_line=attempt.command_line,
            output_files=(attempt.directory / "stdout", attempt.directory / "stderr"),
            paths=self._context.plan.files.get(attempt.task, ()),
        )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a background task with a name; if it dies, the loop hears of it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._background_over)
        return task

    def _watch_background(self) -> None:
        if (task := self._desk.background) is not None:
            self._tasks.add(task)
            task.add_done_callback(self._background_over)

    def _background_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.tell(Broken(error))

    def _nudge_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(seconds, 0.0) + 0.05, self.tell, Nudge())

    def _now(self) -> datetime:
        return self._context.clock.now()
