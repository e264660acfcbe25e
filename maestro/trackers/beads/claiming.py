"""Claiming: looked at, claimed, read back. Two who claim at once may both be told that they won (0.47)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from maestro.trackers.base import Note
from maestro.trackers.beads.database import Database
from maestro.trackers.beads.standing import Standing, actor_of, run_of, standing_of
from maestro.trackers.beads.wording import why_not

AT_ONCE = 40
"""Ids on one command line."""


def claim(db: Database, claims: Mapping[str, Note], *, is_dead: Callable[[str], bool]) -> dict[str, str]:
    """Claim tasks, each for its note's run; those that are not ours afterwards, with a clause each."""
    db.refresh()
    refused: dict[str, str] = {}
    for run_id in dict.fromkeys(note.run_id for note in claims.values()):
        names = [name for name, note in claims.items() if note.run_id == run_id]
        for start in range(0, len(names), AT_ONCE):
            refused |= _claim_for(db, names[start : start + AT_ONCE], actor_of(run_id), is_dead)
    return refused


def _claim_for(db: Database, names: Sequence[str], actor: str, is_dead: Callable[[str], bool]) -> dict[str, str]:
    standing = {name: _standing(db, name, actor, is_dead) for name in names}
    left = [name for name in names if standing[name] is Standing.LEFT]
    wanted = [name for name in names if standing[name] in (Standing.FREE, Standing.LEFT)]
    if left:
        _release(db, left, actor)
    if wanted:
        _take(db, wanted, actor)
        missed = [name for name in wanted if _standing(db, name, actor, is_dead) in (Standing.FREE, Standing.LEFT)]
        if missed:  # what hindered one may have kept all of a call from happening
            for name in missed:
                _release(db, [name], actor) if standing[name] is Standing.LEFT else None
                _take(db, [name], actor)
    return {
        name: why_not(db.issue(name), name)
        for name in names
        if _standing(db, name, actor, is_dead) is not Standing.OURS
    }


def _take(db: Database, names: Sequence[str], actor: str) -> None:
    db.write("update", *names, "--claim", "--json", names=names, actor=actor)
    db.read(names)


def _release(db: Database, names: Sequence[str], actor: str) -> None:
    """Free what a dead run holds; who cannot be freed is not claimed either, and that is read back."""
    written = db.write("update", *names, "--status=open", "--assignee=", "--json", names=names, actor=actor)
    if not written.shown:
        db.read(names)


def _standing(db: Database, name: str, actor: str, is_dead: Callable[[str], bool]) -> Standing | None:
    issue = db.issue(name)
    return standing_of(issue, actor, is_dead=is_dead) if issue is not None else None


def taken_from(db: Database, names: Iterable[str], actors: Mapping[str, str]) -> dict[str, str]:
    """Of claimed tasks, those that are somebody else's by now, or closed, or gone."""
    names = list(names)
    db.renew(names)
    found = {}
    for name in names:
        issue = db.issue(name)
        if issue is None or issue.is_closed or _is_of_another(issue.assignee, actors.get(name)):
            found[name] = why_not(issue, name)
    return found


def _is_of_another(assignee: str, actor: str | None) -> bool:
    """Whether it is assigned to somebody else; where the claim was another process's, to a person."""
    return bool(assignee) and (assignee != actor if actor is not None else run_of(assignee) is None)
