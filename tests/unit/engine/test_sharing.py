"""The worker that speaks to a slow tracker: what gathered goes together, what somebody waits for goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from maestro.clock import SystemClock
from maestro.engine.closing import Closing
from maestro.engine.sharing import AT_ONCE, PATIENCE, SharedClosing, closing_for
from maestro.errors import TrackerError
from maestro.model.events import Event, TrackerClaimed, TrackerWriting, TrackerWritten
from maestro.model.report import Discovery
from maestro.model.task import Progress, Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.testing.shared_tracker import SharedTracker
from maestro.trackers.base import Note

NOTE = Note(run_id="r")
NAMES = [f"t{number:02d}" for number in range(20)]


class Recorded:
    """A recorder that only keeps."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def record(self, *events: Event) -> None:
        self.events += events


class Desk:
    """A SharedClosing over twenty tasks."""

    def __init__(self) -> None:
        self.tracker = SharedTracker([Task(id=name) for name in NAMES])
        self.recorded = Recorded()
        recorder: Any = self.recorded
        self.closing = SharedClosing(self.tracker, recorder, SystemClock())

    async def work(self) -> None:
        """Until all is done that was wished so far."""
        self.closing.finish()
        await asyncio.wait_for(self.closing.run(), 10)


def test_each_tracker_has_the_one_that_fits() -> None:
    recorder: Any = Recorded()
    assert type(closing_for(MemoryTracker([]), recorder, SystemClock())) is Closing
    assert type(closing_for(SharedTracker([]), recorder, SystemClock())) is SharedClosing


def test_what_gathered_is_written_together_and_journalled_around_it() -> None:
    async def go() -> None:
        desk = Desk()
        desk.tracker.take("t01", "bob has closed it")
        for name in NAMES[: AT_ONCE + 1]:
            desk.closing.write(name, Progress.DONE, NOTE)
        working = asyncio.ensure_future(desk.closing.run())
        while len(desk.tracker.calls) < 2:
            await asyncio.sleep(0.01)
        desk.closing.finish()
        await working
        assert desk.tracker.calls == [("write", tuple(NAMES[:AT_ONCE])), ("write", (NAMES[AT_ONCE],))]
        kinds = [type(event) for event in desk.recorded.events]
        assert kinds == [TrackerWriting] * AT_ONCE + [TrackerWritten] * AT_ONCE + [TrackerWriting, TrackerWritten]
        errors = {event.task: event.error for event in desk.recorded.events if isinstance(event, TrackerWritten)}
        assert {task: error for task, error in errors.items() if error} == {"t01": "bob has closed it"}

    asyncio.run(go())


def test_what_is_left_at_the_end_is_written_by_one_call() -> None:
    async def go() -> None:
        desk = Desk()
        for name in NAMES:
            desk.closing.write(name, Progress.DONE, NOTE)
        await desk.work()
        assert desk.tracker.calls == [("write", tuple(NAMES))]

    asyncio.run(go())


def test_what_somebody_waits_for_goes_first() -> None:
    async def go() -> None:
        desk = Desk()
        desk.closing.discover("t05", [Discovery(title="x")], NOTE)
        desk.closing.write("t04", Progress.DONE, NOTE)
        desk.closing.claim_ahead(["t02", "t03"], NOTE, 2)
        asked = asyncio.ensure_future(desk.closing.taken("t01"))
        claimed = asyncio.ensure_future(desk.closing.claim("t00", NOTE))
        await asyncio.sleep(0)
        await desk.work()
        assert (await asked, await claimed) == (None, None)
        assert desk.tracker.calls == [
            ("taken", ("t01",)),
            ("claim", ("t00",)),
            ("claim", ("t02", "t03")),
            ("write", ("t04",)),
            ("discover", ("t05",)),
        ]

    asyncio.run(go())


def test_a_write_waits_for_the_start_that_its_landing_allows_and_for_those_that_come_with_it() -> None:
    async def go() -> None:
        desk = Desk()
        working = asyncio.ensure_future(desk.closing.run())
        desk.closing.write("t00", Progress.DONE, NOTE)
        await asyncio.sleep(0.001)  # the worker is awake, and the loop has only now seen who may start
        assert await desk.closing.claim("t01", NOTE) is None
        desk.closing.write("t02", Progress.DONE, NOTE)
        desk.closing.finish()
        await working
        assert desk.tracker.calls == [("claim", ("t01",)), ("write", ("t00", "t02"))]

    asyncio.run(go())


def test_writes_get_their_turn_however_much_is_more_urgent() -> None:
    async def go() -> None:
        desk = Desk()
        desk.closing.write("t00", Progress.DONE, NOTE)
        desk.closing.claim_ahead(NAMES[1:], NOTE, len(NAMES))
        await desk.work()
        assert [call for call, _ in desk.tracker.calls].index("write") == PATIENCE

    asyncio.run(go())


def test_no_more_is_held_than_the_limit_says_and_nothing_is_asked_twice() -> None:
    async def go() -> None:
        desk = Desk()
        desk.tracker.take("t01")
        desk.closing.claim_ahead(NAMES, NOTE, 2)
        desk.closing.claim_ahead(NAMES, NOTE, 2)
        await desk.work()
        assert desk.tracker.calls == [("claim", ("t00", "t01"))]
        desk.closing.claim_ahead(NAMES, NOTE, 2)  # one was refused: there is room for one more, and not for that one
        await desk.work()
        assert desk.tracker.calls[1:] == [("claim", ("t02",))]
        assert await desk.closing.claim("t00", NOTE) is None
        assert len(desk.tracker.calls) == 2, "claimed before, so no call is made"

    asyncio.run(go())


def test_a_start_that_comes_while_the_claim_is_made_ahead_waits_for_that_one() -> None:
    async def go() -> None:
        desk = Desk()
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        started = asyncio.Event()
        desk.tracker.delay = lambda *_: (
            loop.call_soon_threadsafe(begun.set),
            asyncio.run_coroutine_threadsafe(started.wait(), loop).result(10),
        )
        desk.closing.claim_ahead(["t00"], NOTE, 1)
        working = asyncio.ensure_future(desk.work())
        await begun.wait()
        start = asyncio.ensure_future(desk.closing.claim("t00", NOTE))
        await asyncio.sleep(0)
        started.set()
        assert await start is None
        await working
        assert desk.tracker.calls == [("claim", ("t00",))]

    asyncio.run(go())


def test_what_is_given_back_is_opened_again_once() -> None:
    async def go() -> None:
        desk = Desk()
        desk.closing.claim_ahead(["t00", "t01"], NOTE, 2)
        await desk.work()
        desk.closing.claim_ahead(["t02"], NOTE, 3)
        for _ in range(2):
            desk.closing.give_back("t00", NOTE)  # held
            desk.closing.give_back("t02", NOTE)  # not even asked for
            desk.closing.give_back("t05", NOTE)  # never ours
        desk.closing.give_all_back(NOTE)
        desk.closing.claim_ahead(["t07"], NOTE, 9)
        await desk.work()
        assert desk.tracker.calls[1:] == [("write", ("t00", "t01"))]
        assert {task.id for task in desk.tracker.load() if task.progress is not Progress.OPEN} == set()

    asyncio.run(go())


def test_nobody_waits_for_ever_when_the_worker_dies() -> None:
    async def go() -> None:
        desk = Desk()
        claim = asyncio.ensure_future(desk.closing.claim("t00", NOTE))
        asked = asyncio.ensure_future(desk.closing.taken("t01"))
        await asyncio.sleep(0)
        desk.tracker.delay = lambda *_: (_ for _ in ()).throw(RuntimeError("a bug"))
        with pytest.raises(RuntimeError, match="a bug"):
            await desk.work()
        assert (await claim, await asked) == ("the run could not go on", None)
        late = asyncio.gather(desk.closing.claim("t02", NOTE), desk.closing.taken("t03"))
        assert await asyncio.wait_for(late, 5) == ["the run could not go on", None]

    asyncio.run(go())


def test_a_call_that_fails_as_a_whole_refuses_all_of_it() -> None:
    async def go() -> None:
        desk = Desk()

        def delay(*_: object) -> None:
            raise TrackerError("bd hangs")

        desk.tracker.delay = delay
        claims = [asyncio.ensure_future(desk.closing.claim(name, NOTE)) for name in NAMES[:2]]
        desk.closing.write("t02", Progress.DONE, NOTE)
        await asyncio.sleep(0)
        await desk.work()
        assert [await claim for claim in claims] == ["bd hangs", "bd hangs"]
        assert {event.error for event in desk.recorded.events if isinstance(event, TrackerWritten)} == {"bd hangs"}

    asyncio.run(go())


def test_a_claim_that_broke_off_is_opened_again_unless_the_task_starts_after_all() -> None:
    async def go() -> None:
        desk = Desk()
        claim_many = desk.tracker.claim_many

        def claims_and_dies(claims: Mapping[str, Note]) -> Mapping[str, str]:
            claim_many(claims)
            raise TrackerError("bd was stopped")

        desk.tracker.claim_many = claims_and_dies  # type: ignore[method-assign]
        waiting = asyncio.ensure_future(desk.closing.claim("t00", NOTE))
        await asyncio.sleep(0)
        await desk.work()
        assert await waiting == "bd was stopped"
        assert [one.id for one in desk.tracker.load() if one.progress is not Progress.OPEN] == []

        desk = Desk()
        claim_many = desk.tracker.claim_many
        desk.tracker.claim_many = claims_and_dies  # type: ignore[method-assign]
        desk.closing.claim_ahead(["t01", "t02", "t03"], NOTE, 3)
        working = asyncio.ensure_future(desk.closing.run())
        while not any(isinstance(event, TrackerClaimed) for event in desk.recorded.events):
            await asyncio.sleep(0.01)
        desk.tracker.claim_many = claim_many  # type: ignore[method-assign]
        assert await desk.closing.claim("t01", NOTE) is None
        desk.closing.give_back("t02", NOTE)
        desk.closing.give_all_back(NOTE)
        desk.closing.finish()
        await working
        assert [one.id for one in desk.tracker.load() if one.progress is not Progress.OPEN] == ["t01"]

    asyncio.run(go())
