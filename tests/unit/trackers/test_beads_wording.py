"""What is written into beads: reasons without a word of failure, notes with all that is known."""

from __future__ import annotations

import pytest

from maestro.model.task import LandedBefore, Progress
from maestro.trackers.base import Note, Writing
from maestro.trackers.beads.issues import Issue
from maestro.trackers.beads.wording import (
    EPIC_REASON,
    closing_reason,
    is_closed_by_us,
    is_noted,
    landed_in,
    note_for,
    why_not,
)

WORDS = ("failed", "rejected", "wontfix", "won't fix", "cancel", "abandon", "blocked", "error", "timeout", "aborted")


def done(task: str, commit: str | None) -> Writing:
    note = Note(run_id="error-run", commit=commit, branch="integration/fix-timeout", reason="failed twice")
    return Writing(task=task, progress=Progress.DONE, note=note)


REASONS = [
    ([done("d-error", "abc1234")], "Landed as abc1234"),
    ([done("d-a", "abc1234"), done("d-b", "abc1234")], "Landed as abc1234"),
    ([done("d-a", "abc1234"), done("d-b", "def5678")], "Landed, as the notes say"),
    ([done("d-a", "abc1234"), done("d-b", None)], "Landed, as the notes say"),
    ([done("d-a", None)], "Done: nothing had to change"),
    ([done("d-a", "not a commit: error")], "Landed, as the notes say"),
]


@pytest.mark.parametrize(("writes", "reason"), REASONS)
def test_reasons(writes: list[Writing], reason: str) -> None:
    assert closing_reason(writes) == reason
    assert not any(word in reason.lower() for word in WORDS)
    assert is_closed_by_us(Issue(id="d-a", status="closed", close_reason=reason))


@pytest.mark.parametrize(("writes", "reason"), REASONS[:4])
def test_where_it_landed_can_be_read_again(writes: list[Writing], reason: str) -> None:
    before = "landed as fade000 on main\nmaestro run old: landed as fade000 on integration/old"
    for one in writes:
        closed = Issue(id=one.task, status="closed", close_reason=reason, notes=f"{before}\n{note_for(writes)}\nlater")
        where = {"run_id": "error-run", "branch": "integration/fix-timeout"}
        commit = one.note.commit
        assert landed_in(closed) == (LandedBefore(commit=commit, **where) if commit else None)
        assert landed_in(closed.evolve(status="open")) is None
        assert landed_in(closed.evolve(close_reason="by hand")) is None


def test_where_it_landed_without_a_note() -> None:
    closed = Issue(id="d-a", status="closed", close_reason="Landed as abc1234", notes="- d-b landed as abc1234 on x")
    assert landed_in(closed) == LandedBefore(commit="abc1234")
    assert landed_in(closed.evolve(close_reason="Landed, as the notes say")) is None
    assert landed_in(closed.evolve(close_reason="Done: nothing had to change")) is None


def test_the_reasons_of_epics_and_of_people() -> None:
    assert not any(word in EPIC_REASON.lower() for word in WORDS)
    for reason in ("Closed", "", "done", "Landed as my hero", "Landed as abc1234, by hand"):
        assert not is_closed_by_us(Issue(id="d-a", status="closed", close_reason=reason))


def test_notes() -> None:
    one, other = done("d-a", "abc1234"), done("d-b", None)
    assert note_for([one]) == "maestro run error-run: landed as abc1234 on integration/fix-timeout: failed twice"
    assert note_for([one, other]).splitlines()[1:] == [
        "- d-a landed as abc1234 on integration/fix-timeout: failed twice",
        "- d-b done, nothing had to change on integration/fix-timeout: failed twice",
    ]
    note = Note(run_id="r", reason="tests\0failed", saved_ref="refs/x", branch="maestro/r/a")
    back = Writing(task="d-a", progress=Progress.OPEN, note=note)
    assert (
        note_for([back]) == "maestro run r: open again: tests\ufffdfailed (work: saved as refs/x, branch maestro/r/a)"
    )
    assert len(note_for([back.evolve(note=note.evolve(reason="x" * 100_000))])) < 5_000
    assert len(note_for([back.evolve(note=note.evolve(reason="x" * 100_000))] * 40)) < 40_000


def test_a_note_is_not_made_twice() -> None:
    one = done("d-a", "abc1234")
    together = Issue(id="d-a", status="closed", notes=note_for([done("d-b", None), one]))
    assert is_noted(together, one)
    assert not is_noted(together, done("d-a", "def5678"))
    back = Writing(task="d-a", progress=Progress.OPEN, note=Note(run_id="r", reason="why"))
    assert is_noted(Issue(id="d-a", status="open", notes=f"mine\n{note_for([back])}"), back)
    assert not is_noted(Issue(id="d-a", status="open"), back)


@pytest.mark.parametrize(
    ("fields", "clause"),
    [
        ({"status": "closed", "close_reason": "by\nhand"}, "it was closed meanwhile (by hand)"),
        ({"status": "closed"}, "it was closed meanwhile"),
        ({"status": "in_progress", "assignee": "alice"}, "it is assigned to alice"),
        ({"status": "in_progress"}, "it is in progress, and nobody is named"),
        ({"status": "deferred"}, "beads says it is deferred"),
    ],
)
def test_why_not(fields: dict[str, str], clause: str) -> None:
    assert why_not(Issue(id="d-a", **fields), "d-a") == clause
    assert why_not(None, "d-a") == "beads has no task 'd-a'"
