"""Claims and writes for a tracker that is slow and that others work on too (T-1).

One worker makes all calls, one at a time. At each turn it takes what has gathered of the most urgent kind, as one call:
questions whether a task is still ours, claims that a start waits for, claims ahead of need, writes, discovered work. So
nobody ever waits for more than the one call under way, and the busier the tracker is, the fewer calls there are.

A claim is in the journal before it is made and after; a run that died in between may have it or not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from maestro.clock import Clock
from maestro.engine.closing import Closing, not_added
from maestro.engine.recorder import Recorder
from maestro.errors import MaestroError
from maestro.model.events import (
    TrackerAdded,
    TrackerAdding,
    TrackerClaimed,
    TrackerClaiming,
    TrackerWriting,
    TrackerWritten,
    Warned,
)
from maestro.model.report import Discovery
from maestro.model.task import Progress
from maestro.trackers.base import BulkTracker, Note, Tracker, Writing

AT_ONCE = 4
"""Most tasks in one call: each of them takes time, and somebody may be waiting for the next turn."""

ALL = 40
"""Most tasks in one call at the end, when nobody waits any more."""

GATHER_SECONDS = 0.3
"""So long a write, and a claim ahead of need, waits for others: tasks that ran together end and land together."""

MOMENT_SECONDS = 0.05
"""So long after the last landing nothing is written: it lets others start, and they ask for their claims first."""

PATIENCE = 4
"""After so many more urgent turns one is made for the writes, so that the tracker is never told only at the end."""

_OVER = "the run could not go on"
_UNSURE = "it was not started: the tracker did not say whether it gave it out"


class SharedClosing(Closing):
    """What `Closing` is, for a BulkTracker."""

    is_shared = True

    def __init__(self, tracker: BulkTracker, recorder: Recorder, clock: Clock) -> None:
        super().__init__(tracker, recorder, clock)
        self._bulk = tracker
        self._waiters: dict[str, asyncio.Future[str | None]] = {}  # starts that wait for a claim
        self._asked: dict[str, Note] = {}  # claims to be made for them
        self._ahead: dict[str, Note] = {}  # claims to be made before anybody waits
        self._in_hand: set[str] = set()  # claims being made now
        self._held: set[str] = set()  # claimed, not started
        self._passed_over: set[str] = set()  # refused ahead of need: asked for again when they start
        self._unsure: dict[str, Note] = {}  # of these, where the call broke off: they may be ours
        self._unwanted: dict[str, Note] = {}  # in hand, and not to be started any more
        self._questions: dict[str, asyncio.Future[str | None]] = {}
        self._writes: deque[Writing] = deque()
        self._found: deque[tuple[str, Sequence[Discovery], Note]] = deque()
        self._write_at = 0.0  # when the writes that wait have gathered
        self._ahead_at = 0.0  # when the claims ahead have
        self._passed = 0  # turns in which writes waited
        self._given_up = False  # nothing starts any more
        self._finishing = False
        self._is_over = False  # nobody takes turns any more
        self._wake = asyncio.Event()

    # --- what the run wishes ---

    async def claim(self, task: str, note: Note) -> str | None:
        """None at once where the task was claimed ahead."""
        if task in self._held:
            self._held.discard(task)
            return None
        if self._is_over:
            return _OVER
        self._ahead.pop(task, None)
        self._unwanted.pop(task, None)
        self._unsure.pop(task, None)
        if task not in self._in_hand:
            self._asked[task] = note
        waiter: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiters[task] = waiter
        self._wake.set()
        return await waiter

    def claim_ahead(self, tasks: Sequence[str], note: Note, limit: int) -> None:
        """In the order given; a task that was refused once is not asked for again before it starts."""
        if self._given_up:
            return
        known = self._held | self._in_hand | self._ahead.keys()
        room = limit - len(known - self._waiters.keys())
        wanted = [task for task in tasks if task not in known | self._passed_over | self._waiters.keys()]
        for task in wanted[: max(room, 0)]:
            if not self._ahead:  # in a hurry only where nothing is held for the next slot
                self._ahead_at = self._clock.monotonic() + (GATHER_SECONDS if self._held else 0.0)
            self._ahead[task] = note
            self._wake.set()

    def give_back(self, task: str, note: Note) -> None:
        """Also where the claim is only being made."""
        self._ahead.pop(task, None)
        if task in self._in_hand and task not in self._waiters:
            self._unwanted[task] = note
        elif task in self._held or task in self._unsure:
            self._held.discard(task)
            self._unsure.pop(task, None)
            self.write(task, Progress.OPEN, note)

    def give_all_back(self, note: Note) -> None:
        """From now on nothing is claimed ahead."""
        self._given_up = True
        for task in [*self._ahead, *self._in_hand, *sorted(self._held), *self._unsure]:
            self.give_back(task, note)

    async def taken(self, task: str) -> str | None:
        """Where the tracker cannot be asked, the task counts as ours, and that is said."""
        if self._is_over:
            return None
        waiter: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._questions[task] = waiter
        self._wake.set()
        return await waiter

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Queue a write."""
        now = self._clock.monotonic()
        self._write_at = max(self._write_at if self._writes else now + GATHER_SECONDS, now + MOMENT_SECONDS)
        self._writes.append(Writing(task=task, progress=progress, note=note))
        self._wake.set()

    def discover(self, task: str, found: Sequence[Discovery], note: Note) -> None:
        """Queue tasks to be made."""
        self._found.append((task, found, note))
        self._wake.set()

    def finish(self) -> None:
        """Let `run` end when all is done that was wished."""
        self._finishing = True
        self._wake.set()

    # --- the worker ---

    async def run(self) -> None:
        """Take turns until `finish`."""
        try:
            while True:
                turn = self._next_turn()
                if turn is not None:
                    await turn()
                elif self._finishing:
                    return
                else:
                    await self._rest()
        finally:  # whoever still waits, or asks from now on, must not wait for ever
            self._is_over = True
            for waiter in self._waiters.values():
                _answer(waiter, _OVER)
            for waiter in self._questions.values():
                _answer(waiter, None)

    async def _rest(self) -> None:
        """Until something is wished, or the writes that wait have gathered."""
        self._wake.clear()
        moments = [at for at, waits in ((self._write_at, self._writes), (self._ahead_at, self._ahead)) if waits]
        left = min(moments) - self._clock.monotonic() if moments else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), left)

    def _next_turn(self) -> Callable[[], Awaitable[None]] | None:
        if self._questions:
            return self._question_turn
        if self._writes and self._passed >= PATIENCE:
            return self._write_turn
        self._passed = self._passed + 1 if self._writes else 0
        if self._asked:
            return lambda: self._claim_turn(self._asked)
        if self._ahead and (len(self._ahead) >= AT_ONCE or self._have_gathered(self._ahead_at)):
            return lambda: self._claim_turn(self._ahead)
        if self._writes and self._have_gathered(self._write_at):
            return self._write_turn
        return self._discovery_turn if self._found else None

    def _have_gathered(self, at: float) -> bool:
        return self._finishing or self._clock.monotonic() >= at

    async def _claim_turn(self, wanted: dict[str, Note]) -> None:
        claims = {task: wanted.pop(task) for task in list(wanted)[:AT_ONCE]}
        self._in_hand = set(claims)
        await self._recorder.record(TrackerClaiming(at=self._clock.now(), tasks=tuple(claims)))
        unsure: dict[str, Note] = {}
        try:
            refused = await asyncio.to_thread(self._bulk.claim_many, claims)
        except (MaestroError, OSError) as error:
            refused, unsure = dict.fromkeys(claims, str(error)), claims
        ours = tuple(task for task in claims if task not in refused)
        said = {task: why for task, why in refused.items() if task in claims}
        await self._recorder.record(TrackerClaimed(at=self._clock.now(), tasks=ours, refused=said))
        self._in_hand = set()
        for task in claims:
            self._settle_claim(task, said.get(task), unsure.get(task))

    def _settle_claim(self, task: str, refusal: str | None, unsure: Note | None) -> None:
        """`unsure`: the call broke off, so that the task may be ours all the same. It is opened again, once it is
        certain that it does not start."""
        if (waiter := self._waiters.pop(task, None)) is not None:
            _answer(waiter, refusal)
            if unsure is not None:
                self.write(task, Progress.OPEN, unsure.evolve(reason=_UNSURE))
        elif refusal is not None:
            self._passed_over.add(task)
            if unsure is not None:
                self._unsure[task] = unsure
            if (note := self._unwanted.pop(task, None)) is not None:
                self.give_back(task, note)
        elif (note := self._unwanted.pop(task, None)) is not None:
            self.write(task, Progress.OPEN, note)
        else:
            self._held.add(task)

    async def _question_turn(self) -> None:
        questions, self._questions = self._questions, {}
        taken: Mapping[str, str] = {}
        try:
            taken = await asyncio.to_thread(self._bulk.taken, tuple(questions))
        except (MaestroError, OSError) as error:
            message = f"the tracker could not be asked whether {', '.join(questions)} is still ours: {error}"
            await self._warn(message)
        finally:
            for task, waiter in questions.items():
                _answer(waiter, taken.get(task))

    async def _write_turn(self) -> None:
        self._passed = 0
        most = ALL if self._finishing else AT_ONCE
        writes = [self._writes.popleft() for _ in range(min(most, len(self._writes)))]
        await self._recorder.record(
            *(TrackerWriting(at=self._clock.now(), task=one.task, progress=one.progress) for one in writes)
        )
        try:
            refused = await asyncio.to_thread(self._bulk.write_many, writes)
        except (MaestroError, OSError) as error:
            refused = {one.task: str(error) for one in writes}
        await self._recorder.record(*self._written(writes, refused))

    def _written(self, writes: Iterable[Writing], refused: Mapping[str, str]) -> list[TrackerWritten]:
        now = self._clock.now()
        return [
            TrackerWritten(at=now, task=one.task, progress=one.progress, error=refused.get(one.task)) for one in writes
        ]

    async def _discovery_turn(self) -> None:
        task, found, note = self._found.popleft()
        titles = tuple(one.title for one in found)
        await self._recorder.record(TrackerAdding(at=self._clock.now(), task=task, titles=titles))
        ids: tuple[str, ...] = ()
        failure = None
        try:
            ids = await asyncio.to_thread(self._bulk.discover, task, found, note)
        except (MaestroError, OSError) as error:
            failure = str(error)
        await self._recorder.record(TrackerAdded(at=self._clock.now(), task=task, ids=ids, error=failure))
        if failure is not None:
            await self._warn(not_added(task, found, f"it could not be added ({failure})"), task)

    async def _warn(self, message: str, task: str | None = None) -> None:
        await self._recorder.record(Warned(at=self._clock.now(), message=message, task=task))


def _answer(waiter: asyncio.Future[str | None], answer: str | None) -> None:
    if not waiter.done():
        waiter.set_result(answer)


def closing_for(tracker: Tracker, recorder: Recorder, clock: Clock) -> Closing:
    """The one that fits the tracker."""
    if isinstance(tracker, BulkTracker):
        return SharedClosing(tracker, recorder, clock)
    return Closing(tracker, recorder, clock)
