"""The named resources of tasks (I-7): an attempt starts when it has all of them, and takes no slot while it waits.

A task takes what it needs one after the other, in the order of the names, as everybody does: so two never hold half of
what both need. What it has before it can start (its slot was given away, its account rests) it keeps, unless somebody
waits for it: then that one goes first, who may be an agent that this task waits for. For the same reason it gives back
what it has and takes its place again where it waits for more, and somebody who works already waits for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from maestro.engine.context import RunContext
from maestro.engine.crew import Crew
from maestro.engine.messages import Message, NotToBeHad, Nudge
from maestro.engine.turns import take_turn, variables_under
from maestro.errors import MaestroError
from maestro.model.states import TaskState
from maestro.proc.request import MARKER
from maestro.resources.base import Lock, Locks
from maestro.resources.locks.base import Family, Who

GIVE_WAY_SECONDS = 5.0
"""So long a task that has resources and cannot start keeps them from others."""


class Reservations:
    """Who waits for resources, and who has them. Used in the event loop's thread."""

    def __init__(self, context: RunContext, crew: Crew, tell: Callable[[Message], None]) -> None:
        self._context = context
        self._crew = crew
        self._tell = tell
        self._taking: dict[str, asyncio.Task[None]] = {}  # tasks that wait
        self._held: dict[str, dict[str, Lock]] = {}  # task → name → what it has
        self._idle: dict[str, asyncio.Task[None]] = {}  # has all, and has not started
        self._stopped = False

    @property
    def are_awaited(self) -> bool:
        """Whether a task waits that may start when it has its resources."""
        return bool(self._taking)

    @property
    def idle(self) -> tuple[str, ...]:
        """Tasks that have all they need and have not started: the next slots are theirs."""
        return tuple(self._idle)

    def is_complete(self, task: str) -> bool:
        """Whether the task has all it needs."""
        return task in self._idle or not self._wanted(task)

    def hold_back(self, task: str) -> bool:
        """Whether the task waits, or stands behind so many of this run that there is no sense in queueing too."""
        if task in self._taking:
            return True
        if self.is_complete(task):
            return False
        waiting = Counter(name for other in self._taking for name in self._wanted(other))
        return any(waiting[name] >= self._context.options.max_parallel for name in self._wanted(task))

    def begin(self, task: str) -> None:
        """Start waiting for all that the task needs; a Nudge tells when it has it."""
        self._spawn(task, is_news=True)

    def use(self, task: str) -> None:
        """Its attempt starts."""
        if (watch := self._idle.pop(task, None)) is not None:
            watch.cancel()

    def variables(self, task: str) -> dict[str, str]:
        """For the environment of its attempt."""
        locks = self._context.locks
        return {} if locks is None else {**locks.variables, **variables_under(self._held.get(task, {}))}

    def take_again(self, task: str) -> None:
        """For an attempt that an earlier coordinator began: what it holds is known to be ours again. It goes on in any
        case."""
        if self._wanted(task):
            self._spawn(task, is_news=False)

    def _spawn(self, task: str, *, is_news: bool) -> None:
        if (locks := self._context.locks) is not None and not self._stopped:
            work = self._take_all(task, locks, is_news=is_news)
            self._taking[task] = self._crew.spawn(work, f"take the resources of {task}")

    def give_back(self, task: str) -> None:
        """The task needs its resources no more, or waits for them in vain."""
        for waiting in (self._taking.pop(task, None), self._idle.pop(task, None)):
            if waiting is not None:
                waiting.cancel()
        for lock in self._held.pop(task, {}).values():
            lock.release()

    def forget_the_settled(self) -> None:
        """Nothing is kept for tasks that will not start any more."""
        tasks = self._context.recorder.run.tasks
        for task in [*self._taking, *self._idle]:
            if tasks[task].state not in (TaskState.PENDING, TaskState.RUNNING):
                self.give_back(task)

    def stop(self) -> None:
        """Nothing starts any more: only what works keeps its resources."""
        self._stopped = True
        for task in [*self._taking, *self._idle]:
            if self._context.recorder.run.tasks[task].state is TaskState.PENDING:
                self.give_back(task)

    def close(self) -> None:
        """The run is over."""
        self._stopped = True
        for task in {*self._taking, *self._held}:
            self.give_back(task)

    def _wanted(self, task: str) -> tuple[str, ...]:
        return self._context.plan.resources.get(task, ()) if self._context.locks is not None else ()

    async def _take_all(self, task: str, locks: Locks, *, is_news: bool) -> None:
        held = self._held.setdefault(task, {})
        name, who = "", self._who(task)
        try:
            while left := [name for name in self._wanted(task) if name not in held]:
                name = left[0]
                # no limit here: an attempt's own clocks say how long it may take
                turn = take_turn(self._context, locks, name, who, limit_seconds=None, is_news=is_news)
                watch = self._wait_till_wanted(tuple(held), locks, by_who_works=True) if held and is_news else None
                if (lock := await _unless(watch, turn)) is not None:
                    held[name] = lock
                    continue
                for lock in held.values():
                    lock.release()
                held.clear()
        except asyncio.CancelledError:
            return  # by `give_back`
        except MaestroError as error:
            self.give_back(task)
            if is_news:
                self._tell(NotToBeHad(task, f"its resource {name} cannot be had: {error.message}"))
            return
        self._taking.pop(task, None)
        if self._context.recorder.run.tasks[task].state is TaskState.PENDING:
            watch = self._give_way(task, locks)
            self._idle[task] = self._crew.spawn(watch, f"keep the resources of {task}")
        self._tell(Nudge())

    def _who(self, task: str) -> Who:
        run = self._context.recorder.run.tasks[task]
        under_way = run.state is TaskState.RUNNING
        number = len(run.attempts) + (not under_way)
        marker = self._context.marker(self._context.names[task], str(number))
        return Who(task=task, run=self._context.run_id, family=Family(MARKER, marker), outlives=True)

    async def _give_way(self, task: str, locks: Locks) -> None:
        """Let others go first who wait for what lies idle here."""
        try:
            await self._wait_till_wanted(self._wanted(task), locks, by_who_works=False)
        except asyncio.CancelledError:
            return  # it starts, or needs them no more
        self._idle.pop(task, None)
        self.give_back(task)
        self._tell(Nudge())

    async def _wait_till_wanted(self, names: tuple[str, ...], locks: Locks, *, by_who_works: bool) -> None:
        is_wanted = False
        while not is_wanted:
            await asyncio.sleep(GIVE_WAY_SECONDS)
            with suppress(MaestroError):
                is_wanted = await asyncio.to_thread(self._are_wanted_by_others, names, locks, by_who_works)

    def _are_wanted_by_others(self, names: tuple[str, ...], locks: Locks, by_who_works: bool) -> bool:
        ours = (self._context.run_id, set(self._taking))
        return any(
            not (one.outlives if by_who_works else one.run == ours[0] and one.task in ours[1])
            for name in names
            for one in locks.status(name).queue
        )


async def _unless(watch: Coroutine[Any, Any, None] | None, turn: Coroutine[Any, Any, Lock]) -> Lock | None:
    """The lock; None where the watch ended before it was ours. When cancelled, nothing is held."""
    if watch is None:
        return await turn
    taking, watching = asyncio.ensure_future(turn), asyncio.ensure_future(watch)
    try:
        await asyncio.wait([taking, watching], return_when=asyncio.FIRST_COMPLETED)
        taking.cancel()
        await asyncio.wait([taking])
        return None if taking.cancelled() else taking.result()
    except asyncio.CancelledError:
        taking.add_done_callback(_release)
        taking.cancel()
        await asyncio.wait([taking])
        raise
    finally:
        watching.cancel()


def _release(taken: asyncio.Future[Lock]) -> None:
    if not taken.cancelled() and taken.exception() is None:
        taken.result().release()
