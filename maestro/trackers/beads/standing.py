"""Whose an issue is at the moment, as a maestro run sees it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from maestro.trackers.beads.issues import Issue

PREFIX = "maestro/"


def actor_of(run_id: str) -> str:
    """The name a run has in beads: its own, so that two runs of one user never both win a claim."""
    return f"{PREFIX}{run_id}"


def run_of(assignee: str) -> str | None:
    """The run behind an assignee, None for a person."""
    return assignee.removeprefix(PREFIX) if assignee.startswith(PREFIX) else None


class Standing(Enum):
    """What may be done with an issue."""

    FREE = auto()  # open, nobody's
    OURS = auto()  # in progress, ours
    LEFT = auto()  # a run that is dead has left it behind
    HELD = auto()  # somebody else's
    IN_WORK = auto()  # in progress, nobody named
    CLOSED = auto()
    ASIDE = auto()  # blocked, deferred, pinned, or a status of the project's own


def standing_of(issue: Issue, actor: str = "", *, is_dead: Callable[[str], bool]) -> Standing:
    """Where an issue stands for `actor` (empty: for nobody in particular)."""
    if issue.is_closed:
        return Standing.CLOSED
    run = run_of(issue.assignee)
    if issue.assignee and issue.assignee != actor:
        return Standing.LEFT if run is not None and is_dead(run) and issue.status in _WORKED else Standing.HELD
    if issue.status == "open":
        return Standing.LEFT if issue.assignee else Standing.FREE  # ours but open: claimed by hand, or half released
    if issue.status == "in_progress":
        return Standing.OURS if issue.assignee else Standing.IN_WORK
    return Standing.IN_WORK if issue.status == "hooked" else Standing.ASIDE


_WORKED = ("open", "in_progress")
