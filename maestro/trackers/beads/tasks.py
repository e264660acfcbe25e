"""From issues to tasks. Pure.

What becomes a task: every issue but epics that have children (containers), and what is no work for an agent (messages,
gates, templates …), unless something waits for it.

A dependency counts when beads lets it hold work back: `blocks`, `conditional-blocks`, `waits-for`. One on a container
means all below it, and what blocks a container blocks all below it. `parent-child`, `related` and `discovered-from`
hold nothing back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.beads.details import details_of
from maestro.trackers.beads.hierarchy import Hierarchy
from maestro.trackers.beads.issues import Issue
from maestro.trackers.beads.standing import Standing, standing_of
from maestro.trackers.beads.wording import is_closed_by_us, landed_in
from maestro.trackers.fields import task_from

BLOCKING = frozenset({"blocks", "conditional-blocks", "waits-for"})
NO_WORK = frozenset({"message", "gate", "molecule", "agent", "role", "rig", "convoy", "event", "slot", "merge-request"})
"""Types of beads' own machinery; `bd ready` leaves most of them out too."""

_SLOT = "gt:slot"  # the merge slot is a plain task but for this label

PROGRESS: dict[str, Progress] = {
    "open": Progress.OPEN,
    "in_progress": Progress.IN_PROGRESS,
    "hooked": Progress.IN_PROGRESS,
    "blocked": Progress.BLOCKED,
    "deferred": Progress.DEFERRED,
    "closed": Progress.DONE,
    "pinned": Progress.DONE,  # never closed, and beads takes it for satisfied
}


def tasks_of(hierarchy: Hierarchy, *, is_dead: Callable[[str], bool], now: datetime) -> list[Task]:
    """The tasks in order: as they were created, children by their number. TrackerError names what cannot be read."""
    wanted = _wanted(hierarchy)
    order = sorted(wanted, key=lambda name: _place(hierarchy, name))
    return [_task(hierarchy, hierarchy.issues[name], is_dead, now) for name in order]


def _wanted(hierarchy: Hierarchy) -> set[str]:
    """The issues that are tasks, and all that these wait for."""
    wanted = {name for name, issue in hierarchy.issues.items() if is_work(issue) and not hierarchy.is_container(name)}
    waiting = list(wanted)
    while waiting:
        for needed in dependencies(hierarchy, waiting.pop()):
            if needed in hierarchy.issues and needed not in wanted:
                wanted.add(needed)
                waiting.append(needed)
    return wanted


def is_work(issue: Issue) -> bool:
    """Whether an agent could do it."""
    return issue.type not in NO_WORK and not issue.is_template and _SLOT not in issue.labels


def dependencies(hierarchy: Hierarchy, name: str) -> tuple[str, ...]:
    """What must be done before: its own blockers, and those of the containers it is in."""
    found: set[str] = set()
    for other, kind in hierarchy.issues[name].links:
        if kind in BLOCKING:
            found.update(_meant(hierarchy, other))
    for container in hierarchy.ancestors(name):
        blockers = [other for other, kind in hierarchy.issues[container].links if kind in BLOCKING]
        # an epic that waits for its own child waits to be closed, and holds that child back no more than the others
        inside = {container, *hierarchy.below(container)} if blockers else ()
        found |= {one for other in blockers for one in _meant(hierarchy, other) if one not in inside}
    return tuple(sorted(found))


def _meant(hierarchy: Hierarchy, other: str) -> tuple[str, ...]:
    if other not in hierarchy.issues:
        return () if other.startswith("external:") else (other,)
    return tuple(
        one
        for one in hierarchy.stands_for(other)
        if one == other or is_work(hierarchy.issues[one])  # machinery inside an epic holds nobody back
    )


def _place(hierarchy: Hierarchy, name: str) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    """Where an issue stands among all: below its ancestors, by time, number and id."""
    way = [name, *hierarchy.ancestors(name)][::-1]
    return tuple((_second(hierarchy.issues[one], one == way[0]), _numbers(one), one) for one in way)


def _second(issue: Issue, is_top: bool) -> str:
    """The time of creation; children with numbers need none, and 1.x may be a second wrong."""
    return issue.created_at if is_top or not _numbers(issue.id) else ""


def _numbers(name: str) -> tuple[int, ...]:
    match = re.search(r"(\.\d+)+$", name)
    return tuple(int(part) for part in match[0].split(".")[1:]) if match else ()


def _task(hierarchy: Hierarchy, issue: Issue, is_dead: Callable[[str], bool], now: datetime) -> Task:
    progress = PROGRESS.get(issue.status, Progress.UNKNOWN)
    if progress is Progress.OPEN and _is_later(issue.defer_until, now):
        progress = Progress.DEFERRED
    entry: dict[str, Any] = {
        "id": issue.id,
        "title": issue.title,
        "description": issue.description,
        "acceptance": issue.acceptance,
        "priority": issue.priority,
        "labels": list(issue.labels),
        "dependencies": list(dependencies(hierarchy, issue.id)),
        "estimate": issue.estimated_minutes or None,
        **_context(hierarchy, issue),
    }
    details = details_of(issue.metadata, issue.description)
    if issue.estimated_minutes:
        details.pop("estimate", None)
    where = f"issue {issue.id!r}"
    try:
        task = task_from({**entry, **details}, where)
    except BadInput as error:
        raise TrackerError(error.message, hint=error.hint or "correct it with `bd update`") from error
    if progress is Progress.UNKNOWN:
        task = task.evolve(context={**task.context, "status": issue.status})
    return task.evolve(
        progress=progress,
        landed=landed_in(issue),
        done_by_hand=issue.is_closed and not is_closed_by_us(issue),
        set_aside=_set_aside(issue, progress, is_dead),
    )


def _context(hierarchy: Hierarchy, issue: Issue) -> dict[str, Any]:
    """What the prompt says besides: what kind of work it is, of what it is part, what was thought before."""
    parent = next(hierarchy.ancestors(issue.id), None)
    context = {
        "type": issue.type if issue.type != "task" else None,
        "part_of": f"{parent} {hierarchy.issues[parent].title}".strip() if parent else None,
        "design": issue.design,
        "notes": issue.notes,
        "external_ref": issue.external_ref,
    }
    return {name: text for name, text in context.items() if text}


def _set_aside(issue: Issue, progress: Progress, is_dead: Callable[[str], bool]) -> str:
    """Why nobody but its holder may take it up now; empty where anybody may."""
    if progress not in (Progress.OPEN, Progress.IN_PROGRESS):
        return ""
    if not is_work(issue):
        return f"is a {issue.type} of beads, not work for an agent"
    outside = next((other for other, kind in issue.links if kind in BLOCKING and other.startswith("external:")), None)
    if outside is not None:
        return f"waits for {outside}"
    match standing_of(issue, is_dead=is_dead):
        case Standing.HELD:
            return f"is assigned to {issue.assignee}"
        case Standing.IN_WORK:
            return "is in progress, and nobody is named; `bd update --status open` frees it"
        case _:
            return ""


def _is_later(text: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(text) > now
    except (ValueError, TypeError):
        return False


def selected(hierarchy: Hierarchy, epic: str | None, labels: Iterable[str]) -> frozenset[str]:
    """The tasks below an epic (an issue without children: itself) that have all the labels. BadInput for an unknown
    epic."""
    if epic is not None and epic not in hierarchy.issues:
        raise BadInput(f"there is no issue {epic!r} in beads", hint="see `bd list --type epic` for the epics there are")
    if epic is None:
        names = list(hierarchy.issues)
    else:
        names = hierarchy.below(epic) if hierarchy.is_container(epic) else [epic, *hierarchy.below(epic)]
    wanted = frozenset(labels)
    return frozenset(
        name
        for name in names
        if not hierarchy.is_container(name)
        and is_work(hierarchy.issues[name])
        and wanted <= frozenset(hierarchy.issues[name].labels)
    )
