"""Group markers (P-1): `[P:Group-X]` in title, description or labels, the label `parallel:Group-X`, a group field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maestro.errors import BadInput
from maestro.model.task import Task

SEQUENTIAL = "_sequential"
"""Where detection files tasks without a marker; no task may be put there by the user."""

# X is anything but `]` and blanks: `\w+` once lost every group with a hyphen in its name.
MARKER = re.compile(r"\[P:Group-([^\]\s]+)\]")
_LABEL = re.compile(r"parallel:Group-([^\]\s]+)")


class MarkerConflict(BadInput, ValueError):
    """One task carries two different markers."""

    def __init__(self, task: str, groups: tuple[str, ...]) -> None:
        named = " and ".join(repr(group) for group in groups)
        super().__init__(
            f"task {task!r} is marked for more than one group: {named}",
            hint="leave one [P:Group-…] marker on it",
        )
        self.task = task
        self.groups = groups


def group_of(task: Task) -> str | None:
    """The group of a task, None without a marker.

    Raises MarkerConflict for two different ones. The reserved name is returned as any other; callers refuse it.
    """
    return _only_group(task.id, task.group, (task.title, task.description), task.labels)


def detect_groups(tasks: Sequence[Task | Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Group id → the very objects given, groups in the order of their first member (P-2).

    Plain mappings are read by their keys `id`, `title`, `description`, `labels` and `group`. Unmarked tasks are under
    SEQUENTIAL, which is missing where there are none. Raises BadInput for two markers on one task and for a task
    filed under SEQUENTIAL by the user.
    """
    groups: dict[str, list[Any]] = {}
    for position, task in enumerate(tasks, start=1):
        group = group_of(task) if isinstance(task, Task) else _group_of_mapping(task, position)
        if group == SEQUENTIAL:
            name = task.id if isinstance(task, Task) else _name(task, position)
            raise BadInput(reserved_group(name), hint="give the group another name")
        groups.setdefault(SEQUENTIAL if group is None else group, []).append(task)
    return groups


def reserved_group(task: str) -> str:
    """The message for a task that the user filed under the reserved name."""
    return f"task {task!r} is in a group named {SEQUENTIAL!r}, the name kept for tasks without a group"


def _group_of_mapping(task: Mapping[str, Any], position: int) -> str | None:
    labels = task.get("labels") or ()
    if isinstance(labels, str):
        labels = labels.split(",")
    elif not isinstance(labels, Iterable):
        labels = (labels,)
    texts = tuple(_text(task.get(key)) for key in ("title", "description"))
    return _only_group(_name(task, position), _text(task.get("group")), texts, [_text(one) for one in labels])


def _only_group(name: str, explicit: str | None, texts: Iterable[str], labels: Iterable[str]) -> str | None:
    found: dict[str, None] = {}
    if explicit and explicit.strip():
        marked = MARKER.fullmatch(explicit.strip())
        found[marked[1] if marked else explicit.strip()] = None
    for text in texts:
        if "[P:" in text:
            found.update(dict.fromkeys(MARKER.findall(text)))
    for label in labels:
        found.update(dict.fromkeys(MARKER.findall(label)))
        if whole := _LABEL.fullmatch(label.strip()):
            found[whole[1]] = None
    if len(found) > 1:
        raise MarkerConflict(name, tuple(found))
    return next(iter(found), None)


def _name(task: Mapping[str, Any], position: int) -> str:
    return _text(task.get("id")) or _text(task.get("title")) or f"number {position}"


def _text(value: object) -> str:
    return "" if value is None else str(value)
