"""Work that agents came across, as issues of their own: linked by `discovered-from`, and no child of the task's epic.

An epic is what a person planned; if found work became part of it, a run over the epic would never end. Creating is
not safe to repeat, so each issue carries a mark by which it is found again, whoever made it and however that ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from maestro.errors import TrackerError
from maestro.model.report import Discovery
from maestro.trackers.base import Note
from maestro.trackers.beads.database import Database
from maestro.trackers.beads.issues import Issue
from maestro.trackers.beads.standing import actor_of

LINK = "discovered-from"
KINDS = frozenset({"task", "bug", "feature", "chore"})
"""What both eras know, and an agent may file."""

_TRIES = 2
_LONGEST = 20_000


def discover(db: Database, task: str, found: Sequence[Discovery], note: Note) -> tuple[str, ...]:
    """Create what is not there yet, and link it; the ids in order. TrackerError where beads does not take one."""
    db.refresh()
    if db.issue(task) is None:
        raise TrackerError(f"beads has no task {task!r}")
    marks = [mark_of(task, one) for one in found]
    for _ in range(_TRIES):
        missing = [(mark, one) for mark, one in zip(marks, found, strict=True) if _marked(db, mark) is None]
        if not missing:
            break
        for mark, one in dict(missing).items():
            _create(db, task, one, mark, note)
        db.load()
    made = []
    for mark, one in zip(marks, found, strict=True):
        issue = _marked(db, mark)
        if issue is None:
            raise TrackerError(f"beads did not take the discovered work {one.title!r}")
        _link(db, issue, task, note)
        made.append(issue.id)
    return tuple(made)


def mark_of(task: str, one: Discovery) -> str:
    """The same for the same work, whichever attempt or run comes across it."""
    text = f"{task}\0{one.title}\0{one.description}"
    return f"maestro-found-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _marked(db: Database, mark: str) -> Issue | None:
    return next((issue for issue in db.hierarchy.issues.values() if mark in issue.description), None)


def _create(db: Database, task: str, one: Discovery, mark: str, note: Note) -> None:
    """One call; how it ended is seen when all is read again."""
    title = " ".join(one.title.replace("\0", " ").split())[:500]
    text = one.description.replace("\0", " ").strip()[:_LONGEST]
    source = f"Found by maestro run {note.run_id} during {task} ({mark})."
    db.bd.write(
        "create",
        f"--title={title}",
        f"--type={one.kind if one.kind in KINDS else 'task'}",
        f"--priority={2 if one.priority is None else one.priority}",
        f"--description={text}\n\n{source}" if text else f"--description={source}",
        f"--deps={LINK}:{task}",
        "--json",
        actor=actor_of(note.run_id),
    )


def _link(db: Database, issue: Issue, task: str, note: Note) -> None:
    """A create that was killed may have left the issue without its link; so may an id that beads overlooked."""
    if (task, LINK) in issue.links:
        return
    db.bd.write("dep", "add", issue.id, task, f"--type={LINK}", "--json", actor=actor_of(note.run_id))
    db.load()
    again = db.issue(issue.id)
    if again is None or (task, LINK) not in again.links:
        raise TrackerError(f"beads did not link {issue.id} to {task}")
