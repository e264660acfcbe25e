"""Epics are closed when the last issue below them is, and their own epics in turn; opened again with a child."""

from __future__ import annotations

from collections.abc import Iterable

from maestro.trackers.beads.database import Database
from maestro.trackers.beads.hierarchy import Hierarchy
from maestro.trackers.beads.tasks import BLOCKING
from maestro.trackers.beads.wording import EPIC_REASON

_UNDER_WAY = ("open", "in_progress")


def close_finished(db: Database, names: Iterable[str], actor: str) -> None:
    """Close the epics above issues that were closed, where nothing below them is open; by one call, read back.

    An epic that beads will not close is left to people: no work hangs on it.
    """
    names = tuple(names)
    found = finished_above(db.hierarchy, names)
    if found and not db.bd.version.minds_children:
        db.load()  # while we wrote, one more child may have come
        found = finished_above(db.hierarchy, names)
    _close(db, found, actor)


def close_in_the_way(db: Database, name: str, actor: str) -> None:
    """Close finished epics that an issue waits for, also through its own epics."""
    hierarchy = db.hierarchy
    blockers = {
        other
        for one in (name, *hierarchy.ancestors(name))
        for other, kind in hierarchy.issues[one].links
        if kind in BLOCKING and other in hierarchy.issues
    }
    found = [one for one in blockers if hierarchy.is_container(one) and _is_finished(hierarchy, one, set())]
    _close(db, found, actor)


def reopen_above(db: Database, names: Iterable[str], actor: str) -> None:
    """Open the epics again that maestro closed with issues that are open again (E-9)."""
    hierarchy = db.hierarchy
    closed = {
        epic: None
        for name in names
        for epic in hierarchy.ancestors(name)
        if hierarchy.issues[epic].is_closed and hierarchy.issues[epic].close_reason == EPIC_REASON
    }
    if closed:
        db.write("update", *closed, "--status=open", "--json", names=tuple(closed), actor=actor)
        db.read(tuple(closed))


def finished_above(hierarchy: Hierarchy, names: Iterable[str]) -> list[str]:
    """The open epics above some closed issues that have nothing open below them, lowest first."""
    found: list[str] = []
    for name in names:
        if name not in hierarchy.issues:
            continue
        for above in hierarchy.ancestors(name):
            if above in found or hierarchy.issues[above].is_closed:
                continue
            if not (hierarchy.is_container(above) and _is_finished(hierarchy, above, set(found))):
                break
            found.append(above)
    return found


def _is_finished(hierarchy: Hierarchy, epic: str, closing: set[str]) -> bool:
    """Whether an epic is under way while all its children are closed, or about to be."""
    return hierarchy.issues[epic].status in _UNDER_WAY and all(
        hierarchy.issues[child].is_closed or child in closing for child in hierarchy.children(epic)
    )


def _close(db: Database, epics: list[str], actor: str) -> None:
    if epics:
        db.write("close", *epics, f"--reason={EPIC_REASON}", "--json", names=epics, actor=actor)
        db.read(epics)
