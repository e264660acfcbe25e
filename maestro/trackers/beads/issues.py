"""An issue as bd tells it, in both eras: from `export` lines and from `list` elements. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from maestro.errors import TrackerError
from maestro.model.record import Record

Link = tuple[str, str]  # (the other issue's id, the type of the dependency)

PARENT = "parent-child"


class Issue(Record):
    """What maestro needs to know of an issue."""

    id: str = Field(min_length=1)
    title: str = ""
    description: str = ""
    design: str = ""
    acceptance: str = ""
    notes: str = ""
    status: str
    priority: int = 2
    type: str = "task"
    assignee: str = ""
    labels: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()  # what it depends on, its parent included; order kept
    estimated_minutes: float | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    close_reason: str = ""
    created_at: str = ""
    defer_until: str = ""
    external_ref: str = ""
    is_template: bool = False

    @property
    def parent(self) -> str | None:
        """The issue it is part of."""
        return next((other for other, kind in self.links if kind == PARENT), None)

    @property
    def is_closed(self) -> bool:
        return self.status == "closed"


def issues_in(found: Iterable[Mapping[str, Any]], what: str) -> list[Issue]:
    """The issues among the objects of an answer; memories and deleted issues are left out. TrackerError names one
    that cannot be read."""
    return [issue for one in found if (issue := _issue(one, what)) is not None]


def _issue(raw: Mapping[str, Any], what: str) -> Issue | None:
    if raw.get("_type", "issue") != "issue" or raw.get("status") == "tombstone":
        return None
    given = {name: raw[key] for name, key in _FIELDS.items() if raw.get(key) is not None}
    try:
        return Issue(**given, links=tuple(_links(raw)), metadata=_metadata(raw.get("metadata")))
    except (ValidationError, TypeError, KeyError) as error:
        name = raw.get("id") if isinstance(raw.get("id"), str) else "without an id"
        reason = error.errors()[0]["loc"] if isinstance(error, ValidationError) else error
        raise TrackerError(
            f"{what}: issue {name!r} cannot be read ({reason})", hint="see it with `bd show`; is bd newer than maestro?"
        ) from error


_FIELDS: Mapping[str, str] = {
    "id": "id",
    "title": "title",
    "description": "description",
    "design": "design",
    "acceptance": "acceptance_criteria",
    "notes": "notes",
    "status": "status",
    "priority": "priority",
    "type": "issue_type",
    "assignee": "assignee",
    "labels": "labels",
    "estimated_minutes": "estimated_minutes",
    "close_reason": "close_reason",
    "created_at": "created_at",
    "defer_until": "defer_until",
    "external_ref": "external_ref",
    "is_template": "is_template",
}


def _links(raw: Mapping[str, Any]) -> list[Link]:
    """Dependencies, whether given as records (`depends_on_id`, `type`) or as issues (`id`, `dependency_type`)."""
    links: list[Link] = []
    for one in raw.get("dependencies") or ():
        other = one["depends_on_id"] if "depends_on_id" in one else one["id"]
        kind = one.get("dependency_type") or one.get("type") or "blocks"
        links.append((other, kind))
    parent = raw.get("parent")
    if isinstance(parent, str) and parent and (parent, PARENT) not in links:
        links.append((parent, PARENT))
    return links


def _metadata(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
