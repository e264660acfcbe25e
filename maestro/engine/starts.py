"""Starts: from a ready task to an attempt under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from maestro.agents.base import Heard
from maestro.engine.attempt import AttemptRun, Begun
from maestro.engine.closing import Closing
from maestro.engine.context import Brief, RunContext
from maestro.engine.crew import ATTEMPT, Crew
from maestro.engine.dispatch import Dispatch
from maestro.engine.goingon import going_on
from maestro.engine.holds import Holds
from maestro.engine.landing import LandingDesk
from maestro.engine.messages import AttemptOver, ClaimRefused, Message, NotStarted, Nudge
from maestro.engine.phases import GroupPhases
from maestro.engine.reserving import Reservations
from maestro.engine.settle import Settling
from maestro.engine.throttling import Throttling
from maestro.model.task import Progress
from maestro.planning.schedule import Dispatcher
from maestro.resources.throttle import Scarce, Shortage
from maestro.workspaces.culprit import AttemptTrace


class Starts:
    """Fills capacity, and knows the attempts under way."""

    def __init__(
        self,
        context: RunContext,
        *,
        dispatcher: Dispatcher,
        dispatch: Dispatch,
        holds: Holds,
        phases: GroupPhases,
        desk: LandingDesk,
        closing: Closing,
        settling: Settling,
        reservations: Reservations,
        crew: Crew,
        tell: Callable[[Message], None],
    ) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._dispatch = dispatch
        self._holds = holds
        self._phases = phases
        self._desk = desk
        self._closing = closing
        self._settling = settling
        self._reservations = reservations
        self._crew = crew
        self._tell = tell
        self._throttling = Throttling(context, tell)
        self.stopped = False  # nothing starts any more
        self._claimed: set[str] = set()  # by this coordinator
        self.attempts: dict[str, AttemptRun] = {}
        self.preparing: set[asyncio.Task[None]] = set()  # pre-execution phases under way
        self._lately: list[AttemptTrace] = []  # ended since the last look at the checkout
        self._level_of = {task: n for n, level in enumerate(context.plan.stages) for task in level}
        self._said_low = False  # that the disk is
        self._settled: bool | None = None  # what `on_settled` was told last

    @property
    def are_busy(self) -> bool:
        """Whether an attempt or a preparation is under way, or a task waits for a resource."""
        return bool(self.attempts or self.preparing or self._reservations.are_awaited)

    @property
    def want_workspaces(self) -> bool:
        """Whether an attempt under way has no workspace yet."""
        return any(attempt.workspace is None for attempt in self.attempts.values())

    @property
    def are_settled(self) -> bool:
        """Whether all that was started is under way, without anything else having to happen."""
        return not self.preparing and all(attempt.spawned for attempt in self.attempts.values())

    async def fill(self, busy: Callable[[], bool]) -> str | None:
        """Start as many as capacity allows; why nothing can start ever, where `busy` finds nothing that helps."""
        await self._holds.look()
        self._reservations.forget_the_settled()
        while (task := self._dispatch.next_start()) is not None:
            if (short := await self._shortage()) is not None:
                return await self._wait(short, busy())
            self.say_settled(False)
            if not self._phases.is_ready(task):
                self._prepare(task)
                continue
            if not self._reservations.is_complete(task):
                self._reservations.begin(task)
                continue
            await self._open_level_of(task)
            self._start(task)
        await self._throttling.over()
        return None

    def claim_ahead(self) -> None:
        """Claim what will start next: neither a freed slot nor what a landing allows waits for a slow tracker."""
        if not self._closing.is_shared:
            return
        limit = self._context.options.max_parallel
        ready = self._dispatcher.ready(limit) if len(self._dispatch.running) >= limit else []
        self._closing.claim_ahead([*ready, *self._dispatcher.next_after_active(limit)], self._settling.note(), limit)

    def say_settled(self, settled: bool) -> None:
        """Tell who asked, when it changes."""
        if self._context.on_settled is not None and self._settled is not settled:
            self._settled = settled
            self._context.on_settled(settled)

    def watch_desk(self) -> None:
        """Hear of it when landing dies."""
        if (task := self._desk.background) is not None:
            self._crew.watch(task)

    def forget(self, task: str) -> None:
        """Its attempt is over."""
        self._reservations.give_back(task)
        self._dispatch.running.pop(task, None)
        if (attempt := self.attempts.pop(task, None)) is not None and attempt.workspace is not None:
            self._lately.append(self._trace(attempt))

    def traces(self) -> Iterable[AttemptTrace]:
        """Who may have changed the checkout since the last look: what runs, and what has ended meanwhile.

        One that waits for its claim, or was refused it, has done nothing: a person who took the task may be at work
        on its files in that very checkout.
        """
        lately, self._lately = self._lately, []
        begun = [attempt for attempt in self.attempts.values() if attempt.workspace is not None]
        return [*map(self._trace, begun), *lately]

    def _trace(self, attempt: AttemptRun) -> AttemptTrace:
        return AttemptTrace(
            task=attempt.task,
            marker=attempt.attempt_id,
            command_line=attempt.command_line,
            output_files=(attempt.directory / "stdout", attempt.directory / "stderr"),
            paths=self._context.plan.files.get(attempt.task, ()),
        )

    async def _shortage(self) -> Shortage | None:
        """What the machine has too little of, once the space of workspaces that go is free (E-4, W-6)."""
        short = self._throttling.shortage(alone=self._are_alone)
        if short is None or short.kind is not Scarce.DISK:
            return short
        await self._desk.workspaces_gone()
        return self._throttling.shortage(alone=self._are_alone)

    @property
    def _are_alone(self) -> bool:
        return not self.attempts and not self.preparing

    async def _wait(self, short: Shortage, busy: bool) -> str | None:
        """Wait for the machine; why that is in vain, where nothing of this run can free the disk."""
        if short.kind is Scarce.DISK:
            if not busy:
                return short.reason
            if not self._said_low:
                self._said_low = True
                await self._settling.warn(f"{short.reason}: no workspace is made until some space is free")
        await self._throttling.wait(short)
        return None

    def _prepare(self, task: str) -> None:
        self._phases.begin(task)
        preparation = self._crew.spawn(self._phases.prepare(task), f"prepare the group of {task}")
        self.preparing.add(preparation)
        preparation.add_done_callback(self._prepared)

    def _prepared(self, preparation: asyncio.Task[None]) -> None:
        self.preparing.discard(preparation)
        self._tell(Nudge())

    async def _open_level_of(self, task: str) -> None:
        """Each level has a branch, also one of which nothing can run (M-2)."""
        while self._desk.level is not None and self._desk.level < self._level_of.get(task, 0):
            await self._desk.open(self._desk.level + 1)
            self.watch_desk()

    def _start(self, task: str) -> None:
        self._reservations.use(task)
        self._dispatcher.start(task)
        chosen = self._dispatch.chosen(task)
        self._dispatch.running[task] = chosen
        self._holds.started(chosen.agent.account, task)
        number = len(self._context.recorder.run.tasks[task].attempts) + 1
        self._begin(task, number, self._desk.tip)

    def adopt(self, task: str, number: int, base: str, begun: Begun) -> None:
        """Keep an attempt company that an earlier coordinator began."""
        self._claimed.add(task)
        self._dispatch.running[task] = self._dispatch.chosen(task)
        self._reservations.take_again(task)
        self._begin(task, number, base, begun)

    def _begin(self, task: str, number: int, base: str, begun: Begun | None = None) -> None:
        chosen = self._dispatch.running[task]
        run, workspaces = self._context.recorder.run, self._context.workspaces
        last = going_on(run.tasks[task], number, chosen.agent, workspaces)
        brief = Brief(
            task=self._context.plan.tasks[task],
            chosen=chosen,
            own_files=self._context.plan.files.get(task, ()),
            sibling_files={
                other: files
                for other in self.attempts
                if other != task and (files := self._context.plan.files.get(other, ()))
            },
            group_summary=self._phases.summary(task),
            failures=self._settling.failures(task),
            session=last.session if last else None,
            resources=self._context.plan.resources.get(task, ()),
            variables=self._reservations.variables(task),
        )
        attempt = AttemptRun(
            self._context,
            brief,
            number,
            last.base if last and begun is None else base,
            begun,
            lambda: self._spawned(task),
            room=lambda: self._desk.returning.room(lambda: len(self.attempts)),
            going_on=last,
            on_heard=lambda heard: self._heard(task, heard),
        )
        self.attempts[task] = attempt
        work = self._attempt(attempt) if begun is None else self._accompany(attempt)
        self._crew.spawn(work, f"{ATTEMPT}{attempt.attempt_id}")

    async def _attempt(self, attempt: AttemptRun) -> None:
        """A task is claimed once by each coordinator: while none lived, anything may have become of it."""
        if attempt.task not in self._claimed:
            if (refused := await self._closing.claim(attempt.task, self._settling.note())) is not None:
                self._tell(ClaimRefused(attempt.task, refused))
                return
            if self.stopped:  # while it waited for its claim
                self._closing.write(attempt.task, Progress.OPEN, self._settling.not_started())
                self._tell(NotStarted(attempt.task))
                return
            self._claimed.add(attempt.task)
        await self._accompany(attempt)

    async def _accompany(self, attempt: AttemptRun) -> None:
        self._tell(AttemptOver(await attempt.run()))

    def _heard(self, task: str, heard: Heard) -> None:
        keys = self._context.keys
        if heard is Heard.LIMIT and keys is not None and keys.rests_until() is None:
            return  # one key's: the account has others
        account = self._dispatch.chosen(task).agent.account
        self._crew.spawn(self._take_in(account, task, heard), f"take in what {task} hears of its provider")

    async def _take_in(self, account: str, task: str, heard: Heard) -> None:
        if task in self.attempts:  # else it has ended meanwhile, and what it came to says more
            await self._holds.heard(account, task, heard)
            self._tell(Nudge())

    def _spawned(self, task: str) -> None:
        self._holds.spawned(self._dispatch.chosen(task).agent.account, task)
        if self._context.on_settled is not None:  # else nobody asks, and each start is spared a round
            self._tell(Nudge())
