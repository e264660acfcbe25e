"""Retries are decisions of a pure policy (A-8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from maestro.model.outcome import (
    AgentBlocked,
    Cancelled,
    Clock3,
    Failed,
    FailureKind,
    LimitHit,
    Lost,
    Outcome,
    Succeeded,
    TimedOut,
)
from maestro.model.retry import (
    AskPerson,
    Counts,
    GiveUp,
    Hold,
    Retry,
    Stop,
    Submit,
    decide,
    decide_sent_back,
    hold_until,
    pause_between,
    probe_at,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_OF_TWO = Counts(attempts=1, allowed=2)
LAST_OF_TWO = Counts(attempts=2, allowed=2)


def failed(kind: FailureKind) -> Failed:
    return Failed(failure=kind, reason="it broke")


@pytest.mark.parametrize(
    ("outcome", "counts", "expected"),
    [
        (Succeeded(commit="c"), FIRST_OF_TWO, Submit),
        (Succeeded(commit=None, no_change=True), LAST_OF_TWO, Submit),
        (failed(FailureKind.EXIT), FIRST_OF_TWO, Retry),
        (failed(FailureKind.EXIT), LAST_OF_TWO, GiveUp),
        (failed(FailureKind.NO_COMMIT), FIRST_OF_TWO, Retry),
        (failed(FailureKind.SETUP), FIRST_OF_TWO, Retry),
        (failed(FailureKind.SPAWN), FIRST_OF_TWO, GiveUp),
        (failed(FailureKind.DENIED), FIRST_OF_TWO, GiveUp),
        (failed(FailureKind.AGENT_ERROR).evolve(retryable=False), FIRST_OF_TWO, GiveUp),
        (failed(FailureKind.SESSION), LAST_OF_TWO, Retry),
        (TimedOut(clock=Clock3.SILENT, limit_seconds=3), FIRST_OF_TWO, Retry),
        (TimedOut(clock=Clock3.NO_END, limit_seconds=3), LAST_OF_TWO, GiveUp),
        (Lost(reason="gone"), FIRST_OF_TWO, Retry),
        (AgentBlocked(reason="which database?"), FIRST_OF_TWO, AskPerson),
        (Cancelled(), FIRST_OF_TWO, Stop),
        (LimitHit(reason="usage limit"), LAST_OF_TWO, Hold),
    ],
)
def test_what_follows_an_attempt(outcome: Outcome, counts: Counts, expected: type) -> None:
    assert isinstance(decide(outcome, counts), expected)


def test_a_limit_names_its_end_or_does_not() -> None:
    later = NOW + timedelta(hours=3)
    assert decide(LimitHit(reason="x", reset_at=later), LAST_OF_TWO) == Hold(reset_at=later, reason="x")
    assert decide(LimitHit(reason="x"), LAST_OF_TWO) == Hold(reset_at=None, reason="x")


def test_a_rest_lasts_as_the_provider_says_whatever_the_chance_and_the_times() -> None:
    later = NOW + timedelta(hours=3)
    assert {hold_until(later, times, NOW, chance) for times in (1, 9) for chance in (0.0, 1.0)} == {later}


def test_an_end_that_did_not_hold_before_is_believed_less_and_less() -> None:
    soon = NOW + timedelta(seconds=1)
    assert hold_until(soon, 1, NOW, 0.0) == soon
    rests = [(hold_until(soon, times, NOW, 0.0) - NOW).total_seconds() for times in (2, 3, 8, 500)]
    assert rests == [60, 120, 3600, 3600], "else attempts would follow each other without an end"


@pytest.mark.parametrize("days", [36, 365, 3650])
def test_an_end_that_no_limit_has_is_not_believed(days: int) -> None:
    assert hold_until(NOW + timedelta(days=days), 1, NOW, 0.0) == NOW + timedelta(seconds=60)
    assert hold_until(NOW + timedelta(days=32), 1, NOW, 0.0) == NOW + timedelta(days=32)


@pytest.mark.parametrize(("times", "seconds"), [(0, 60), (1, 60), (2, 120), (4, 480), (7, 3600), (500, 3600)])
@pytest.mark.parametrize("reset_at", [None, NOW, NOW - timedelta(hours=1)])
def test_without_an_end_that_is_to_come_the_rest_grows_to_an_hour(
    reset_at: datetime | None, times: int, seconds: int
) -> None:
    assert hold_until(reset_at, times, NOW, 0.0) == NOW + timedelta(seconds=seconds)
    assert hold_until(reset_at, times, NOW, 1.0) == NOW + timedelta(seconds=seconds * 1.25)


def test_a_user_s_own_first_rest_grows_the_same_way() -> None:
    assert hold_until(None, 3, NOW, 0.0, 2.0) == NOW + timedelta(seconds=8)
    assert hold_until(None, 1, NOW, 0.0, 7200.0) == NOW + timedelta(hours=2)


def test_chance_spreads_what_comes_after_a_rest() -> None:
    for rest, most in ((3600, 5), (20, 5), (4, 1)):
        until = NOW + timedelta(seconds=rest)
        spread = [probe_at(NOW, until, chance) - until for chance in (0.0, 1.0)]
        assert spread == [timedelta(0), timedelta(seconds=most)]
    assert [pause_between(chance).total_seconds() for chance in (0.0, 0.5, 1.0)] == [1.0, 2.0, 3.0]


def test_a_conflict_is_requeued_whatever_the_allowance_then_left_to_the_user() -> None:
    counts = Counts(attempts=1, allowed=1, conflicts=1)
    assert isinstance(decide_sent_back(FailureKind.CONFLICT, "conflicts with b", counts), Retry)
    counts = Counts(attempts=1, allowed=5, conflicts=2)
    asked = decide_sent_back(FailureKind.CONFLICT, "conflicts with b", counts)
    assert isinstance(asked, AskPerson)
    assert "left to you" in asked.reason


def test_a_red_gate_counts_as_a_failed_attempt() -> None:
    assert isinstance(decide_sent_back(FailureKind.GATE, "red", FIRST_OF_TWO), Retry)
    assert isinstance(decide_sent_back(FailureKind.GATE, "red", LAST_OF_TWO), GiveUp)
