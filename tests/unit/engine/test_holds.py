"""Accounts on hold: one rest for all, then one attempt goes first, and the others follow one by one (A-5)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from maestro.agents.base import Heard
from maestro.engine.holds import PACED_STARTS, PROVEN_SECONDS, Holds
from maestro.model.events import AccountHeld, AccountReleased, Event
from maestro.model.outcome import (
    AgentBlocked,
    Cancelled,
    Clock3,
    Failed,
    FailureKind,
    Lost,
    Outcome,
    Succeeded,
    TimedOut,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
A = "anthropic"


class Lab:
    """Holds with a clock that stands, a journal in memory, and chance 0 unless said otherwise."""

    def __init__(self) -> None:
        self.at = START
        self.events: list[Event] = []
        self.wakes: list[float] = []
        self.chance = 0.0
        self.gate: asyncio.Event | None = None  # a journal that takes its time
        self.holds = self.make()

    def make(self) -> Holds:
        return Holds(self._record, self, self.wakes.append, chance=lambda: self.chance)

    async def _record(self, event: Event) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.events.append(event)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def hold(self, task: str, reset_in: float | None = None) -> datetime:
        reset = None if reset_in is None else self.at + timedelta(seconds=reset_in)
        return run(self.holds.hold(A, task, reset, "usage limit", waiting=3))

    def start(self, task: str) -> None:
        assert self.holds.may_start(A)
        self.holds.started(A, task)
        self.holds.spawned(A, task)

    def end(self, task: str, outcome: Outcome | None) -> None:
        run(self.holds.ended(A, task, outcome))

    @property
    def held(self) -> list[AccountHeld]:
        return [event for event in self.events if isinstance(event, AccountHeld)]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def lab() -> Lab:
    return Lab()


DONE = Succeeded(commit="c")


def test_nothing_is_held_before_a_limit_and_other_accounts_never(lab: Lab) -> None:
    assert lab.holds.may_start(A)
    lab.start("a")
    lab.hold("a", 60)
    assert not lab.holds.may_start(A)
    assert lab.holds.may_start("openai")


def test_a_rest_lasts_as_long_as_the_provider_says_and_is_written_down(lab: Lab) -> None:
    lab.start("a")
    assert lab.hold("a", 3600) == START + timedelta(hours=1)
    expected = AccountHeld(
        at=START, account=A, until=START + timedelta(hours=1), reason="usage limit", times=1, waiting=3
    )
    assert lab.events == [expected]
    assert lab.holds.next_start_in() == 3600
    lab.later(3599)
    assert not lab.holds.may_start(A)
    lab.later(1)
    assert lab.holds.may_start(A)
    assert lab.holds.next_start_in() is None


def test_many_that_meet_the_same_limit_at_once_make_one_rest(lab: Lab) -> None:
    for task in "abcdefgh":
        lab.start(task)
    ends = {lab.hold(task) for task in "abcdefgh"}
    assert ends == {START + timedelta(seconds=60)}
    assert len(lab.events) == 1


def test_only_a_longer_rest_is_news_while_it_rests(lab: Lab) -> None:
    assert lab.hold("a") == START + timedelta(seconds=60)
    assert lab.hold("b", 30) == START + timedelta(seconds=60)
    assert lab.hold("c", 90) == START + timedelta(seconds=90)
    assert lab.hold("d", -5) == START + timedelta(seconds=90)
    assert [event.until for event in lab.held] == [START + timedelta(seconds=s) for s in (60, 90)]


def test_after_the_rest_one_goes_first_and_the_others_follow_with_pauses_once_it_was_answered(lab: Lab) -> None:
    lab.hold("a", 60)
    lab.later(60)
    lab.start("a")
    assert not lab.holds.may_start(A), "it goes alone"
    lab.later(30)
    run(lab.holds.heard(A, "b", Heard.ANSWER))  # one that ran before the limit proves nothing
    assert not lab.holds.may_start(A)
    run(lab.holds.heard(A, "a", Heard.ANSWER))
    assert lab.events[-1] == AccountReleased(at=lab.at, account=A)
    starts = []
    for task in "bcdefghi":
        while not lab.holds.may_start(A):
            lab.later(0.5)
        starts.append(lab.monotonic())
        lab.start(task)
    assert len(starts) == PACED_STARTS
    assert [later - before for before, later in itertools.pairwise(starts)] == [1.0] * 7
    lab.start("j")  # and then all is as ever
    lab.start("k")


def test_the_loop_is_woken_for_the_end_of_a_rest_and_looks_at_the_clock_meanwhile(lab: Lab) -> None:
    lab.hold("a", 150)
    assert lab.wakes == [60]
    lab.later(30)
    run(lab.holds.look())
    assert lab.wakes == [60], "it is planned"
    for expected in (60, 30):
        lab.later(30 if expected == 60 else 60)
        run(lab.holds.look())
        assert lab.wakes[-1] == expected
    lab.later(30)
    run(lab.holds.look())
    assert lab.wakes == [60, 60, 30]
    assert lab.holds.may_start(A)


def test_the_loop_is_woken_earlier_for_another_account_and_after_a_long_sleep_of_the_machine(lab: Lab) -> None:
    lab.hold("a", 50)
    run(lab.holds.hold("openai", "b", lab.at + timedelta(seconds=20), "quota"))
    assert lab.wakes == [50, 20]
    lab.later(3600)
    run(lab.holds.look())
    assert lab.holds.may_start(A)


def test_the_moments_of_starts_differ_by_chance(lab: Lab) -> None:
    lab.chance = 1.0
    lab.hold("a", 60)
    assert lab.holds.next_start_in() == 65
    lab.later(65)
    lab.start("a")
    run(lab.holds.heard(A, "a", Heard.ANSWER))
    assert lab.holds.next_start_in() == 3


def test_one_that_meets_the_limit_again_renews_the_rest_for_all_and_it_grows(lab: Lab) -> None:
    lab.hold("a")
    for seconds in (60, 120, 240):
        lab.later(seconds)
        lab.start("a")
        lab.hold("a")
        assert not lab.holds.may_start(A)
    assert [event.times for event in lab.held] == [1, 2, 3, 4]
    assert (lab.held[-1].until - lab.at).total_seconds() == 480
    lab.later(480)
    lab.start("a")
    run(lab.holds.heard(A, "a", Heard.ANSWER))
    lab.later(5)
    lab.start("b")
    lab.hold("b")
    assert lab.held[-1].times == 1, "one had got through"


def test_a_straggler_from_before_the_rest_renews_it_without_letting_it_grow(lab: Lab) -> None:
    lab.start("old")
    lab.hold("a")
    lab.later(61)
    lab.start("a")
    lab.hold("old")
    assert [event.times for event in lab.held] == [1, 1]
    assert not lab.holds.may_start(A)


@pytest.mark.parametrize(
    ("outcome", "released"),
    [
        (DONE, True),
        (AgentBlocked(reason="?"), True),
        (Failed(failure=FailureKind.NO_COMMIT, reason="x"), True),
        (Failed(failure=FailureKind.SETUP, reason="x"), False),
        (Failed(failure=FailureKind.WORKSPACE, reason="x"), False),
        (Failed(failure=FailureKind.SESSION, reason="x"), False),
        (Cancelled(), False),
        (Lost(reason="x"), False),
        (TimedOut(clock=Clock3.SILENT, limit_seconds=3), False),
        (None, False),
    ],
)
def test_the_end_of_the_first_tells_whether_it_was_answered(lab: Lab, outcome: Outcome | None, released: bool) -> None:
    lab.hold("a", 60)
    lab.later(60)
    lab.start("a")
    lab.end("b", DONE)  # another one's end is no news
    assert len(lab.events) == 1
    lab.end("a", outcome)
    assert isinstance(lab.events[-1], AccountReleased) is released
    if not released:
        lab.start("b")  # it goes first now
        assert not lab.holds.may_start(A)


def test_a_silent_first_one_is_believed_after_a_while(lab: Lab) -> None:
    lab.hold("a", 60)
    lab.later(60)
    lab.holds.started(A, "a")
    lab.later(PROVEN_SECONDS)  # its workspace was being made
    run(lab.holds.look())
    assert len(lab.events) == 1
    lab.holds.spawned(A, "a")
    assert lab.wakes[-1] == PROVEN_SECONDS
    lab.later(PROVEN_SECONDS - 1)
    run(lab.holds.look())
    assert len(lab.events) == 1
    run(lab.holds.heard(A, "a", Heard.LIMIT))  # and not while it tries again
    lab.later(1)
    run(lab.holds.look())
    assert len(lab.events) == 1
    run(lab.holds.heard(A, "a", Heard.NOTHING))
    run(lab.holds.look())
    assert isinstance(lab.events[-1], AccountReleased)


@pytest.mark.parametrize(
    "over",
    [
        lambda lab: lab.holds.heard(A, "a", Heard.ANSWER),
        lambda lab: lab.holds.ended(A, "a", DONE),
        lambda lab: lab.holds.ended(A, "a", None),
    ],
)
def test_while_a_client_tries_again_by_itself_nothing_starts_beside_it(
    lab: Lab, over: Callable[[Lab], Coroutine[Any, Any, None]]
) -> None:
    lab.start("a")
    run(lab.holds.heard(A, "a", Heard.LIMIT))
    assert not lab.holds.may_start(A)
    assert lab.holds.may_start("openai")
    run(lab.holds.heard(A, "b", Heard.LIMIT))
    run(lab.holds.ended(A, "b", DONE))
    assert not lab.holds.may_start(A)
    run(over(lab))
    assert lab.holds.may_start(A)
    assert lab.events == [], "there was no rest to write down"


def test_a_client_that_gave_up_is_not_waited_for_beyond_the_rest(lab: Lab) -> None:
    lab.start("a")
    run(lab.holds.heard(A, "a", Heard.LIMIT))
    lab.hold("a", 60)
    lab.later(60)
    assert lab.holds.may_start(A)


def test_a_rest_outlives_the_coordinator(lab: Lab) -> None:
    lab.hold("a")
    lab.later(60)
    lab.start("a")
    lab.hold("a")  # 120 s
    lab.later(30)
    lab.holds = lab.make()
    lab.holds.restore(lab.events)
    assert not lab.holds.may_start(A)
    assert lab.holds.next_start_in() == 90
    lab.later(90)
    lab.start("a")
    lab.hold("a")
    assert lab.held[-1].times == 3, "it goes on growing"
    lab.later(240)
    lab.start("a")
    lab.end("a", DONE)
    lab.holds = lab.make()
    lab.holds.restore(lab.events)
    lab.start("b")
    lab.start("c")


def test_a_rest_that_ended_while_no_coordinator_lived_lets_one_go_first(lab: Lab) -> None:
    lab.hold("a", 60)
    lab.later(3600)
    lab.holds = lab.make()
    lab.holds.restore(lab.events)
    lab.start("a")
    assert not lab.holds.may_start(A)


def test_a_limit_met_while_a_release_is_written_down_counts_after_it(lab: Lab) -> None:
    lab.hold("a", 60)
    lab.later(60)
    lab.start("a")
    gate = asyncio.Event()
    lab.gate = gate

    async def both() -> None:
        released = asyncio.create_task(lab.holds.heard(A, "a", Heard.ANSWER))
        held = asyncio.create_task(lab.holds.hold(A, "b", lab.at + timedelta(seconds=60), "again"))
        again = asyncio.create_task(lab.holds.heard(A, "a", Heard.ANSWER))
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(released, held, again)

    run(both())
    assert [event.type for event in lab.events] == ["account_held", "account_released", "account_held"]  # type: ignore[attr-defined]
    assert not lab.holds.may_start(A)
