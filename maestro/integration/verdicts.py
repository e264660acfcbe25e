"""What is handed to the landing queue, and the three things it can answer."""

# no `from __future__ import annotations`: see maestro.model.record

from typing import Literal, NamedTuple

from maestro.integration.message import Work
from maestro.model.conflict import Conflict
from maestro.model.gate import GatePassed, GateRed, GateResult, GateSkipped, GateUnjudged
from maestro.model.outcome import FailureKind

_SHOWN = 5


class Submission(Work):
    """Finished work that wants to land."""

    attempt: int = 1


class LandedAs(NamedTuple):
    """It is on the integration branch. `commit` is None where nothing had to change."""

    task: str
    commit: str | None
    tip: str  # of the integration branch, all of the batch included
    remark: str = ""
    kind: Literal["landed"] = "landed"


class SentBack(NamedTuple):
    """It is the task's own doing: another attempt on the new base may mend it."""

    task: str
    reason: str  # a clause for people and for the next attempt's prompt
    failure: Literal[FailureKind.CONFLICT, FailureKind.GATE]
    conflict: Conflict | None = None
    gate: GateResult | None = None
    kind: Literal["sent_back"] = "sent_back"


class Unlandable(NamedTuple):
    """It could not be judged or landed, and not by its own fault: the work waits for a person."""

    task: str
    reason: str
    gate: GateResult | None = None
    kind: Literal["unlandable"] = "unlandable"


LandingVerdict = LandedAs | SentBack | Unlandable


def conflict_reason(conflict: Conflict, against: tuple[str, ...]) -> str:
    """A clause such as "conflicts with task b in src/x.py"."""
    whom = f"task{'s' if len(against) > 1 else ''} {_listed(against)}" if against else "the integration branch"
    where = f" in {_listed(conflict.paths)}" if conflict.paths else f": {'; '.join(conflict.messages)}"
    return f"conflicts with {whom}{where}"


def culprit_reason(result: GateResult) -> str:
    """Why a task is sent back: not green with it, green without it."""
    match result:
        case GateRed(failing=failing) if failing:
            return f"the tests are red with it and green without it: {_listed(failing)}"
        case GateRed(exit_code=code):
            return f"the tests are red with it (exit code {code}) and green without it"
        case GateUnjudged(reason=reason):
            return f"with it {reason}; without it the tests are green"
        case GatePassed() | GateSkipped():
            raise ValueError("a green result has no culprit")


def bad_tip_reason(result: GateResult) -> str:
    """Why a task is not judged: the branch is not green without it either."""
    match result:
        case GateRed(failing=failing):
            names = f": {_listed(failing)}" if failing else ""
            return f"the tests are red on the integration branch without this task as well{names}"
        case GateUnjudged(reason=reason):
            return f"the tests cannot be judged on the integration branch without this task either: {reason}"
        case GatePassed() | GateSkipped():
            raise ValueError("a green branch holds nothing up")


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
