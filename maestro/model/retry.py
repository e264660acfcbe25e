"""What follows an attempt: a pure policy from outcome and counts to a decision (A-8)."""

# no `from __future__ import annotations`: see maestro.model.record

from datetime import datetime, timedelta
from typing import Literal, NamedTuple, assert_never

from maestro.model.outcome import (
    AgentBlocked,
    Cancelled,
    Failed,
    FailureKind,
    LimitHit,
    Lost,
    Outcome,
    Succeeded,
    TimedOut,
    describe,
)

HOPELESS = frozenset({FailureKind.SPAWN, FailureKind.DENIED})
"""Failures that the same attempt once more cannot mend: the configuration must change first."""

HOLD_BASE_SECONDS = 60.0
HOLD_MAX_SECONDS = 3600.0
HOLD_JITTER = 0.25
"""Of a rest whose end nobody named, so much longer at most: others that met the same limit come back as well."""

LONGEST_NAMED = timedelta(days=35)
"""Providers count by the minute, the day, the week and the month: an end farther off was misread, or is a mistake."""

PROBE_JITTER_SECONDS = 5.0
"""At most; a short rest is followed at once."""

PAUSE_SECONDS = 2.0


class Submit(NamedTuple):
    """The work goes to the landing queue (or, with no change, straight to landed)."""

    kind: Literal["submit"] = "submit"


class Retry(NamedTuple):
    """Another attempt."""

    reason: str
    kind: Literal["retry"] = "retry"


class Hold(NamedTuple):
    """The agent's account rests; the attempt does not count."""

    reset_at: datetime | None  # as the provider names it
    reason: str
    kind: Literal["hold"] = "hold"


class GiveUp(NamedTuple):
    """The task is failed."""

    reason: str
    kind: Literal["give_up"] = "give_up"


class AskPerson(NamedTuple):
    """The task is blocked until a person has looked."""

    reason: str
    kind: Literal["ask_person"] = "ask_person"


class Stop(NamedTuple):
    """The task is cancelled with the run."""

    reason: str
    kind: Literal["stop"] = "stop"


Decision = Submit | Retry | Hold | GiveUp | AskPerson | Stop


class Counts(NamedTuple):
    """What a task has used up so far, the attempt just ended included."""

    attempts: int  # those that count against the allowance
    allowed: int
    conflicts: int = 0  # times it was sent back for a conflict
    conflicts_allowed: int = 2


def decide(outcome: Outcome, counts: Counts) -> Decision:
    """What follows an ended attempt."""
    match outcome:
        case Succeeded():
            return Submit()
        case Cancelled():
            return Stop(reason=outcome.reason)
        case AgentBlocked():
            return AskPerson(reason=f"the agent is blocked: {outcome.reason}")
        case LimitHit():
            return Hold(reset_at=outcome.reset_at, reason=outcome.reason)
        case Failed() if outcome.failure is FailureKind.SESSION:
            return Retry(reason=f"{outcome.reason}; a new conversation is begun")
        case Failed() if outcome.failure in HOPELESS or not outcome.retryable:
            return GiveUp(reason=outcome.reason)
        case Failed() | TimedOut() | Lost():
            return _retry_or_give_up(describe(outcome), counts)
        case _ as never:
            assert_never(never)


def named_end(reset_at: datetime | None, now: datetime) -> datetime | None:
    """The end of a limit that a provider names, where it can be one: a moment that is over is no help, for the limit
    was met after it."""
    return reset_at if reset_at is not None and now < reset_at <= now + LONGEST_NAMED else None


def hold_until(
    reset_at: datetime | None, times: int, now: datetime, chance: float, base_seconds: float = HOLD_BASE_SECONDS
) -> datetime:
    """When an account that met a limit has rested enough: at the moment its provider names, else after a pause that
    doubles up to an hour with `times`, the number of rests in a row (1 for the first). Where the limit was met again
    after a rest, the moment named next is waited for, but not less than the pause before: else "try again in 1 s",
    said for ever, would start attempts for ever. `chance` is a random number from 0 to 1."""
    named = named_end(reset_at, now)
    if named is None:
        return now + _pause(times, chance, base_seconds)
    return named if times <= 1 else max(named, now + _pause(times - 1, chance, base_seconds))


def _pause(times: int, chance: float, base_seconds: float) -> timedelta:
    pause = min(base_seconds * 2 ** min(max(times - 1, 0), 12), max(HOLD_MAX_SECONDS, base_seconds))
    return timedelta(seconds=pause * (1 + HOLD_JITTER * chance))


def probe_at(since: datetime, until: datetime, chance: float) -> datetime:
    """When the first attempt after a rest starts; `chance` as above."""
    return until + min((until - since) * HOLD_JITTER, timedelta(seconds=PROBE_JITTER_SECONDS)) * chance


def pause_between(chance: float) -> timedelta:
    """Between two starts on an account that has only just rested; `chance` as above."""
    return timedelta(seconds=PAUSE_SECONDS * (0.5 + chance))


def decide_sent_back(kind: FailureKind, reason: str, counts: Counts) -> Decision:
    """What follows when landing sent the work back.

    A conflict is requeued on the new base a bounded number of times, whatever the allowance of attempts, for it is
    nobody's failure; then it is left to the user (M-3). A red gate counts as a failed attempt (M-5).
    """
    if kind is FailureKind.CONFLICT:
        if counts.conflicts < counts.conflicts_allowed:
            return Retry(reason=reason)
        return AskPerson(reason=f"{reason}; sent back {counts.conflicts} times, left to you")
    return _retry_or_give_up(reason, counts)


def _retry_or_give_up(reason: str, counts: Counts) -> Decision:
    if counts.attempts < counts.allowed:
        return Retry(reason=reason)
    return GiveUp(reason=reason)
