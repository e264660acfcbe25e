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
from maestro.model.retry import AskPerson, Counts, GiveUp, Hold, Retry, Stop, Submit, decide, decide_sent_back

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
        (TimedOut(clock=Clock3.SILENT, limit_seconds=3), FIRST_OF_TWO, Retry),
        (TimedOut(clock=Clock3.NO_END, limit_seconds=3), LAST_OF_TWO, GiveUp),
        (Lost(reason="gone"), FIRST_OF_TWO, Retry),
        (AgentBlocked(reason="which database?"), FIRST_OF_TWO, AskPerson),
        (Cancelled(), FIRST_OF_TWO, Stop),
        (LimitHit(reason="usage limit"), LAST_OF_TWO, Hold),
    ],
)
def test_what_follows_an_attempt(outcome: Outcome, counts: Counts, expected: type) -> None:
    assert isinstance(decide(outcome, counts, NOW), expected)


def test_a_named_reset_time_is_kept_and_never_lies_in_the_past() -> None:
    later = NOW + timedelta(hours=3)
    assert decide(LimitHit(reason="x", reset_at=later), FIRST_OF_TWO, NOW) == Hold(until=later, reason="x")
    past = LimitHit(reason="x", reset_at=NOW - timedelta(hours=1))
    assert decide(past, FIRST_OF_TWO, NOW) == Hold(until=NOW, reason="x")


@pytest.mark.parametrize(("holds", "seconds"), [(0, 60), (1, 60), (2, 120), (4, 480), (7, 3600), (500, 3600)])
def test_without_a_reset_time_the_pause_grows_to_an_hour(holds: int, seconds: int) -> None:
    decision = decide(LimitHit(reason="x"), Counts(attempts=0, allowed=2, holds=holds), NOW)
    assert decision == Hold(until=NOW + timedelta(seconds=seconds), reason="x")


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
