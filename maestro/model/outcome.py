"""How an attempt ended: one of six shapes, matched with `match` and `assert_never`."""

# no `from __future__ import annotations`: see maestro.model.record

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from maestro.model.record import Record
from maestro.model.report import Discovery


class FailureKind(StrEnum):
    """Why an attempt failed; the retry policy decides by it."""

    EXIT = "exit"  # the process ended with a bad exit code
    NO_COMMIT = "no_commit"  # it said done, but there is no new commit
    EMPTY_DIFF = "empty_diff"  # commits that change nothing
    REPORTED = "reported"  # the agent's own report says failed
    AGENT_ERROR = "agent_error"  # the final event says error: a refused request, a limit of turns …
    DENIED = "denied"  # every tool was denied by permissions
    SETUP = "setup"  # the workspace's setup commands failed
    WORKSPACE = "workspace"  # the agent damaged its workspace
    SPAWN = "spawn"  # the command could not be started
    SESSION = "session"  # the conversation it was to go on with is not to be had
    CONFLICT = "conflict"  # could not be merged on the integration branch
    MEMORY = "memory"  # its processes together used more than one attempt may
    GATE = "gate"  # the tests were red with it and green without it
    BUDGET = "budget"  # it used up the budget of one attempt


class Clock3(StrEnum):
    """The clocks of A-4, and the limit on the whole attempt."""

    SILENT = "silent"  # no event at all
    NO_END = "no_end"  # events, but no end
    NO_EXIT = "no_exit"  # the end was said, the process stays


class Usage(Record):
    """What the attempt cost, as far as its agent says."""

    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    session_id: str | None = None  # kept for a later resume of the same conversation
    whole_conversation: bool = False  # the figures hold what earlier attempts of the session used as well


class Succeeded(Record):
    """The agent's work stands up to the evidence."""

    kind: Literal["succeeded"] = "succeeded"
    commit: str | None  # tip of the work; None with no_change
    no_change: bool = False
    summary: str = ""
    confidence: float | None = None
    notes: tuple[str, ...] = ()
    discovered: tuple[Discovery, ...] = ()
    committed_by_maestro: bool = False  # uncommitted work was committed and marked so
    usage: Usage = Usage()


class Failed(Record):
    """The attempt did not do the task."""

    kind: Literal["failed"] = "failed"
    failure: FailureKind
    reason: str
    output_tail: str = ""  # what a retry and the user get to see
    retryable: bool = True  # False: the same again cannot help (a bad key, an unknown model)
    usage: Usage = Usage()


class AgentBlocked(Record):
    """The agent reports that it cannot go on without a person."""

    kind: Literal["agent_blocked"] = "agent_blocked"
    reason: str
    usage: Usage = Usage()


class TimedOut(Record):
    """One of the clocks ran out, and the attempt was stopped."""

    kind: Literal["timed_out"] = "timed_out"
    clock: Clock3
    limit_seconds: float
    output_tail: str = ""
    usage: Usage = Usage()


class LimitHit(Record):
    """The provider's usage limit, an overload or a spending limit."""

    kind: Literal["limit_hit"] = "limit_hit"
    reason: str
    reset_at: datetime | None = None
    usage: Usage = Usage()


class Cancelled(Record):
    """The user or the run stopped it."""

    kind: Literal["cancelled"] = "cancelled"
    reason: str = "the run was stopped"
    usage: Usage = Usage()


class Lost(Record):
    """The process is gone and left no exit status (killed from outside, power loss)."""

    kind: Literal["lost"] = "lost"
    reason: str
    unwatched: bool = False  # while no coordinator lived: the machine's fault more likely than its own
    before_agent: bool = False  # no agent had been started yet
    output_tail: str = ""
    usage: Usage = Usage()


Outcome = Annotated[
    Succeeded | Failed | AgentBlocked | TimedOut | LimitHit | Cancelled | Lost, Field(discriminator="kind")
]


def describe(outcome: Outcome) -> str:
    """One clause for people: why the attempt ended as it did."""
    match outcome:
        case Succeeded():
            return "no change was needed" if outcome.no_change else "work was submitted"
        case TimedOut():
            what = {
                Clock3.SILENT: "no output for",
                Clock3.NO_END: "no end within",
                Clock3.NO_EXIT: "said it had ended but did not exit within",
            }[outcome.clock]
            return f"{what} {outcome.limit_seconds:g} s"
        case Failed() | AgentBlocked() | LimitHit() | Cancelled() | Lost():
            return outcome.reason
