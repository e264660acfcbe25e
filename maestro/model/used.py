"""What a task has used up of its allowance, and what went wrong: counted while a run goes on, and from its journal
when it is resumed. Pure."""

# no `from __future__ import annotations`: see maestro.model.record

from maestro.model.outcome import Cancelled, Failed, FailureKind, LimitHit, Lost, Outcome, Succeeded, describe
from maestro.model.record import Record

LOSSES_ALLOWED = 3
"""So many attempts of a task that were lost with their coordinator (a reboot, power loss) are not counted against it;
after that the task itself is suspected to be what brings the machine down. Those that were lost before their agent was
started are not: it can have done nothing."""

_BEGUN = (
    "a limit of the provider cut an earlier conversation off, and it cannot be gone on with. What it has done is in "
    "this directory: look at `git status` and `git log` first"
)


class Failure(Record):
    """An earlier attempt that came to nothing, as the next one gets to see it."""

    attempt: int
    reason: str
    output_tail: str = ""
    saved_ref: str | None = None


class Used(Record):
    """What a task has used up, as the retry policy counts it."""

    attempts: int = 0
    conflicts: int = 0
    losses: int = 0
    failures: tuple[Failure, ...] = ()


def count(used: Used, outcome: Outcome, number: int, saved_ref: str | None) -> Used:
    """One more ended attempt, the task's `number`th. One that met a limit does not count, nor one that found no
    conversation to go on with, nor one that the run itself cut off, nor one that was lost with its coordinator, up to
    LOSSES_ALLOWED."""
    if isinstance(outcome, LimitHit):
        if saved_ref is None:
            return used  # it goes on where it stopped
        return _remember(used, number, f"it was cut off by a limit of the provider: {outcome.reason}", "", saved_ref)
    if isinstance(outcome, Failed) and outcome.failure is FailureKind.SESSION:
        return _remember(used, number, _BEGUN, "", saved_ref)
    if isinstance(outcome, Cancelled):
        return _remember(used, number, describe(outcome), "", saved_ref)
    if isinstance(outcome, Lost) and outcome.unwatched and outcome.before_agent:
        return _remember(used, number, describe(outcome), "", saved_ref)
    if isinstance(outcome, Lost) and outcome.unwatched and used.losses < LOSSES_ALLOWED:
        return _remember(used, number, describe(outcome), "", saved_ref).evolve(losses=used.losses + 1)
    used = used.evolve(attempts=used.attempts + 1)
    if isinstance(outcome, Succeeded):
        return used
    return _remember(used, number, describe(outcome), getattr(outcome, "output_tail", ""), saved_ref)


def count_sent_back(
    used: Used, reason: str, number: int, saved_ref: str | None, *, conflict: bool, tail: str = ""
) -> Used:
    """Work that landing sent back. A conflict gives the attempt back: it was nobody's failure."""
    used = _remember(used, number, reason, tail, saved_ref)
    if conflict:
        return used.evolve(conflicts=used.conflicts + 1, attempts=used.attempts - 1)
    return used


def _remember(used: Used, number: int, reason: str, tail: str, saved_ref: str | None) -> Used:
    failure = Failure(attempt=number, reason=reason, output_tail=tail, saved_ref=saved_ref)
    return used.evolve(failures=(*used.failures, failure))
