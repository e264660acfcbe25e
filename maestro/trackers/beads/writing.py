"""Writing what became of tasks: closed after landing, else open or blocked again, with a note. All read back.

A task that a person has closed or taken meanwhile stays as they made it: closing twice would overwrite their reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from maestro.model.task import Progress
from maestro.trackers.base import Writing
from maestro.trackers.beads.claiming import AT_ONCE
from maestro.trackers.beads.database import Database
from maestro.trackers.beads.epics import close_finished, close_in_the_way, reopen_above
from maestro.trackers.beads.issues import Issue
from maestro.trackers.beads.standing import Standing, actor_of, standing_of
from maestro.trackers.beads.tasks import BLOCKING, PROGRESS
from maestro.trackers.beads.wording import appended, closing_reason, is_closed_by_us, is_noted, note_for, why_not

CLOSED = "closed"
LONGEST_ARGUMENT = 120_000
"""The kernel takes 131,072 bytes. Notes that would be longer stay as they are: 0.4x can only replace them whole."""

STATUS: Mapping[Progress, str] = {Progress.DONE: CLOSED, Progress.BLOCKED: "blocked", Progress.DEFERRED: "deferred"}
"""All else is open: beads knows no cancelled, and what a run gave up the next may take up."""


def write(db: Database, writes: Sequence[Writing], *, is_dead: Callable[[str], bool]) -> dict[str, str]:
    """Write the last word on each task; those that could not be written, each with a clause."""
    db.renew({one.task for one in writes})
    refused: dict[str, str] = {}
    last = sorted({one.task: one for one in writes}.values(), key=_kind)  # stable: blockers stay before who waits
    for (run_id, status), group in groupby(last, key=_kind):
        actor = actor_of(run_id)
        members = list(group)
        for start in range(0, len(members), AT_ONCE):
            part = members[start : start + AT_ONCE]
            mine = [one for one in part if _may_write(db.issue(one.task), actor, is_dead)]
            refused |= {one.task: why_not(db.issue(one.task), one.task) for one in part if one not in mine}
            if status == CLOSED:
                refused |= _close(db, mine, actor)
                continue
            aside = [left for one in mine if (left := _left_aside(db, one, actor)) is not None]
            names = {one.task for one, _ in aside}
            refused |= _put(db, [one for one in mine if one.task not in names], status, actor)
            for one, left_at in aside:
                refused |= _put(db, [one], left_at, actor)
    return refused


def _kind(one: Writing) -> tuple[str, str]:
    return one.note.run_id, STATUS.get(one.progress, "open")


def _may_write(issue: Issue | None, actor: str, is_dead: Callable[[str], bool]) -> bool:
    """Whether the issue is there, and neither a person's by now nor another run's."""
    if issue is None or issue.status == "pinned":
        return False
    match standing_of(issue, actor, is_dead=is_dead):
        case Standing.CLOSED:
            return is_closed_by_us(issue)
        case Standing.HELD:
            return False
        case Standing.LEFT:
            return issue.assignee == actor
        case _:
            return True


def _left_aside(db: Database, one: Writing, actor: str) -> tuple[Writing, str] | None:
    """The write and the status for an issue that a person has set aside while we held it, as `bd defer` does: it stays
    so."""
    issue = db.issue(one.task)
    if issue is None or standing_of(issue, actor, is_dead=lambda _: False) is not Standing.ASIDE:
        return None
    stays = one.evolve(progress=PROGRESS.get(issue.status, Progress.UNKNOWN))
    return (stays, issue.status) if issue.assignee == actor or is_noted(issue, stays) else None


def _close(db: Database, writes: Sequence[Writing], actor: str) -> dict[str, str]:
    """Close, then say in the notes what landed where.

    In this order, because the answer to the note shows the issue anew: it reads the closing back at no further call.
    """
    said = _close_open(db, [one for one in writes if not _is_closed(db, one.task)], actor)
    closed = [one for one in writes if _is_closed(db, one.task)]
    shown = _note(db, closed, actor)
    if unproven := [one.task for one in closed if one.task in said and one.task not in shown]:
        db.read(unproven)
    close_finished(db, [one.task for one in closed], actor)
    refused = {}
    for one in writes:
        if _is_theirs(db, one.task, actor):
            refused[one.task] = why_not(db.issue(one.task), one.task)
        elif not _is_closed(db, one.task):
            why = f"beads does not close it: {said.get(one.task) or 'it is still open'}"
            refused[one.task] = why
            _put(db, [_landed_but_open(one, why)], "blocked", actor)  # nobody shall do it a second time
    return refused


def _close_open(db: Database, todo: Sequence[Writing], actor: str) -> dict[str, str]:
    """Close tasks by one call; singly those it did not close for another's sake or because it died. What was said of
    each."""
    said = _call_close(db, todo, actor) if todo else {}
    if all(_is_closed(db, one.task) for one in todo):
        return said
    db.read([one.task for one in todo])
    for one in todo:
        if not _is_closed(db, one.task) and not _is_theirs(db, one.task, actor):
            close_in_the_way(db, one.task, actor)
            said |= _call_close(db, [one], actor)
            db.read([one.task])
    return said


def _call_close(db: Database, writes: Sequence[Writing], actor: str) -> dict[str, str]:
    names = [one.task for one in writes]
    if db.bd.version.has_batch and not _waits(db, names):
        reasons = {one.task: closing_reason([one]) for one in writes}
        if db.close_by_batch(reasons, actor):
            return dict.fromkeys(names, "")
        db.read(names)  # nothing at all was closed, or it is unknown
        writes = [one for one in writes if not _is_closed(db, one.task) and not _is_theirs(db, one.task, actor)]
        names = [one.task for one in writes]
        if not names:
            return {}
    written = db.write("close", *names, f"--reason={closing_reason(writes)}", "--json", names=names, actor=actor)
    return {name: written.said.get(name, "") for name in names}


def _waits(db: Database, names: Sequence[str]) -> bool:
    """Whether one of them has a blocker that beads does not take for satisfied, closed before it by this call aside."""
    closing: set[str] = set()
    for name in names:
        issue = db.issue(name)
        blockers = [other for other, kind in issue.links if kind in BLOCKING] if issue is not None else []
        found = [db.issue(other) for other in blockers if other not in closing]
        if any(one is not None and one.status not in ("closed", "pinned") for one in found):
            return True
        closing.add(name)
    return False


def _is_closed(db: Database, name: str) -> bool:
    """Whether we have closed it."""
    issue = db.issue(name)
    return issue is not None and issue.is_closed and is_closed_by_us(issue)


def _is_theirs(db: Database, name: str, actor: str) -> bool:
    """Whether a person was quicker: closed it, took it, or removed it."""
    issue = db.issue(name)
    if issue is None or issue.is_closed:
        return issue is None or not is_closed_by_us(issue)
    return issue.assignee not in ("", actor)


def _landed_but_open(one: Writing, why: str) -> Writing:
    work = f"landed as {one.note.commit}" if one.note.commit else "done"
    branch = f" on {one.note.branch}" if one.note.branch else ""
    note = one.note.evolve(reason=f"{work}{branch}, but {why}")
    return one.evolve(progress=Progress.BLOCKED, note=note)


def _put(db: Database, writes: Sequence[Writing], status: str, actor: str) -> dict[str, str]:
    """Give tasks a status, nobody as their assignee, and a note; read back."""
    todo = [one for one in writes if not _is_put(db, one, status)]
    if not todo:
        return {}
    reopened = [one.task for one in todo if _is_closed(db, one.task)]
    _note(db, todo, actor, f"--status={status}", "--assignee=")
    db.read([one.task for one in todo])
    undone = [one for one in todo if not _stands(db, one.task, status)]
    for one in undone:  # one by one, for the whole may have been refused for the sake of one
        if _is_theirs(db, one.task, actor):
            continue
        _note(db, [one], actor, f"--status={status}", "--assignee=")
        db.read([one.task])
    reopen_above(db, reopened, actor)
    return {one.task: why_not(db.issue(one.task), one.task) for one in undone if not _stands(db, one.task, status)}


def _is_put(db: Database, one: Writing, status: str) -> bool:
    issue = db.issue(one.task)
    return issue is not None and _stands(db, one.task, status) and is_noted(issue, one)


def _stands(db: Database, name: str, status: str) -> bool:
    issue = db.issue(name)
    return issue is not None and issue.status == status and not issue.assignee


def _note(db: Database, writes: Sequence[Writing], actor: str, *changes: str) -> frozenset[str]:
    """Append a note, and make changes, by one call where bd can append; else one for each task with notes of its own.

    The tasks that the answers showed.
    """
    todo = [(one, issue) for one in writes if (issue := db.issue(one.task)) is not None]
    noted = [one.task for one, issue in todo if is_noted(issue, one)]
    todo = [(one, issue) for one, issue in todo if one.task not in noted]
    replaces = not db.bd.version.appends_notes
    alone = [(one, issue) for one, issue in todo if replaces and issue.notes]
    together = [one for one, issue in todo if not (replaces and issue.notes)]
    flag = "--notes" if replaces else "--append-notes"
    calls = [(noted, "")]  # a call that died may have left the note without the rest
    calls += [([one.task for one in together], f"{flag}={note_for(together)}")] if together else []
    calls += [([one.task], f"{flag}={appended(issue.notes, note_for([one]))}") for one, issue in alone]
    shown: frozenset[str] = frozenset()
    for names, text in calls:
        flags = [*changes, text] if text and len(text.encode()) <= LONGEST_ARGUMENT else list(changes)
        if names and flags:
            shown |= db.write("update", *names, *flags, "--json", names=names, actor=actor).shown
    return shown
