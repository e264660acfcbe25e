"""One entry of a JSON or YAML backlog as a Task: aliases of fields, checked types, unknown fields kept.

Field           also read from
title           name
description     details (both given: one after the other)
acceptance      acceptanceCriteria, acceptance_criteria, testStrategy, test_strategy; text or a list
dependencies    depends_on, dependsOn; a list, or text with commas
files           owned_files, ownedFiles; a list, text with commas, or objects with `path`
labels          tags
estimate        a number of minutes, or "2h", "30m", "1d" (8 hours)
priority        a number (0 is the most urgent) or critical, high, medium, low, P0 … P4
subagent_type   subagentType
fallback_agents fallbackAgents;  applicable_skills  applicableSkills
resources       a list, or text with commas

Of these, `metadata` may hold subagent_type, fallback_agents, applicable_skills, group, files, role and resources.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from maestro.errors import BadInput
from maestro.model.task import Progress, Task
from maestro.trackers.duration import minutes_of
from maestro.trackers.status import meaning

ALIASES: dict[str, tuple[str, ...]] = {
    "title": ("title", "name"),
    "description": ("description", "details"),
    "acceptance": ("acceptance", "acceptanceCriteria", "acceptance_criteria"),
    "tests": ("testStrategy", "test_strategy"),
    "dependencies": ("dependencies", "depends_on", "dependsOn"),
    "status": ("status",),
    "priority": ("priority",),
    "labels": ("labels", "tags"),
    "files": ("files", "owned_files", "ownedFiles"),
    "estimate": ("estimate",),
    "group": ("group",),
    "role": ("role",),
    "subagent_type": ("subagent_type", "subagentType"),
    "fallback_agents": ("fallback_agents", "fallbackAgents"),
    "applicable_skills": ("applicable_skills", "applicableSkills"),
    "resources": ("resources",),
}
IN_METADATA = ("subagent_type", "fallback_agents", "applicable_skills", "group", "files", "role", "resources")

PRIORITIES = {
    **dict.fromkeys(("critical", "urgent", "highest"), 0),
    "high": 1,
    **dict.fromkeys(("medium", "normal"), 2),
    "low": 3,
    "lowest": 4,
    **{f"p{number}": number for number in range(5)},
}

_KINDS = {
    dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number",
    type(None): "empty",
}  # fmt: skip


def task_from(entry: object, where: str) -> Task:
    """The task of one entry; BadInput begins with `where` and names the field."""
    if not isinstance(entry, dict):
        raise BadInput(f"{where} is {kind_of(entry)}, not an object", hint="each task is an object with an id")
    return Reader(entry, where).task()


def kind_of(value: object) -> str:
    """What a value is, in words."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def id_from(value: object, where: str, field: str = "id") -> str:
    """An id as text; a number with a point is refused, for 1.10 would become 1.1."""
    if isinstance(value, float):
        raise BadInput(f"{where}: {field} {value} is a number with a point", hint=f'put it in quotes: "{value}"')
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadInput(f"{where}: {field} must be text or a number, not {kind_of(value)}")
    text = str(value).strip()
    if not text:
        raise BadInput(f"{where} has an empty {field}", hint="give each task an id of its own")
    if as_plain(text) != text:
        raise BadInput(f"{where}: {field} {text!r} holds half a surrogate pair", hint="correct its \\u escapes")
    return text


def as_plain(value: Any) -> Any:
    """Values as JSON has them: YAML's dates become text, keys become text, sets become lists."""
    if isinstance(value, Mapping):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [as_plain(inner) for inner in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, str):  # half a surrogate pair, as a JSON escape may give, can be neither printed nor saved
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, int | float | bool):
        return value
    return str(value)


class Reader:
    """Takes the known fields out of one entry; what is left is context."""

    def __init__(self, entry: Mapping[Any, Any], where: str) -> None:
        self.left: dict[str, Any] = {str(key): value for key, value in entry.items() if value is not None}
        self.where = where

    def task(self) -> Task:
        if "id" not in self.left:
            raise BadInput(f"{self.where} has no id", hint="give each task an id of its own")
        task_id = id_from(self.left.pop("id"), self.where)
        self.where = f"{self.where} (id {task_id!r})"
        self._unfold_metadata()
        acceptance = [*self._texts("acceptance"), *(f"Tests: {one}" for one in self._texts("tests"))]
        given = {
            "id": task_id,
            "title": next(iter(self._texts("title")), ""),
            "description": "\n\n".join(self._texts("description")),
            "acceptance": "\n".join(acceptance),
            "dependencies": tuple(
                dict.fromkeys(id_from(one, self.where, "dependency") for one in self._items("dependencies"))
            ),
            "progress": self._progress(),
            "priority": self._priority(),
            "labels": self._words("labels"),
            "files": self._files(),
            "estimate_minutes": self._estimate(),
            "group": self._word("group"),
            "role": self._word("role"),
            "subagent_type": self._word("subagent_type"),
            "fallback_agents": self._words("fallback_agents"),
            "applicable_skills": self._words("applicable_skills"),
            "resources": self._words("resources"),
        }
        return Task(**given, context=as_plain(self.left))

    def take(self, field: str) -> list[tuple[str, Any]]:
        """What the entry holds under the aliases of a field, with the alias used."""
        return [(alias, self.left.pop(alias)) for alias in ALIASES[field] if alias in self.left]

    def refuse(self, alias: str, wanted: str, value: object) -> BadInput:
        return BadInput(f"{self.where}: {alias} must be {wanted}, not {kind_of(value)}")

    def _unfold_metadata(self) -> None:
        metadata = self.left.get("metadata")
        if not isinstance(metadata, dict):
            return
        rest = dict(metadata)
        for field in IN_METADATA:
            for alias in ALIASES[field]:
                inner = rest.pop(alias, None)
                if inner is not None and not any(name in self.left for name in ALIASES[field]):
                    self.left[alias] = inner
        if rest:
            self.left["metadata"] = rest
        else:
            del self.left["metadata"]

    def _texts(self, field: str) -> list[str]:
        texts = []
        for alias, value in self.take(field):
            if isinstance(value, list):
                texts.append("\n".join(f"- {self._line(alias, one)}" for one in value))
            else:
                texts.append(self._line(alias, value))
        return [text for text in texts if text]

    def _line(self, alias: str, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.refuse(alias, "text", value)
        return str(as_plain(value)).strip()

    def _items(self, field: str) -> list[Any]:
        items: list[Any] = []
        for alias, value in self.take(field):
            if isinstance(value, str):
                items += [part.strip() for part in value.split(",") if part.strip()]
            elif isinstance(value, list):
                items += value
            else:
                raise self.refuse(alias, "a list", value)
        return items

    def _words(self, field: str) -> tuple[str, ...]:
        name = ALIASES[field][0]
        return tuple(dict.fromkeys(text for one in self._items(field) if (text := self._line(name, one))))

    def _word(self, field: str) -> str | None:
        for alias, value in self.take(field):
            if text := self._line(alias, value):
                return text
        return None

    def _files(self) -> tuple[str, ...]:
        items = [one.get("path", one) if isinstance(one, dict) else one for one in self._items("files")]
        return tuple(dict.fromkeys(text for one in items if (text := self._line("files", one))))

    def _progress(self) -> Progress:
        for alias, value in self.take("status"):
            if not isinstance(value, str):
                raise self.refuse(alias, "text", value)
            return meaning(value)
        return Progress.OPEN

    def _priority(self) -> int:
        for alias, value in self.take("priority"):
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            if isinstance(value, str):
                word = value.strip().lower()
                if word in PRIORITIES:
                    return PRIORITIES[word]
                if word.removeprefix("-").isdecimal():
                    return int(word)
                raise BadInput(
                    f"{self.where}: priority {value!r} is not known",
                    hint="use a number (0 is the most urgent) or critical, high, medium, low",
                )
            raise self.refuse(alias, "a whole number or a word", value)
        return Task.model_fields["priority"].default  # type: ignore[no-any-return]

    def _estimate(self) -> float | None:
        for _, value in self.take("estimate"):
            minutes = minutes_of(value)
            if minutes is None:
                raise BadInput(
                    f"{self.where}: estimate {value!r} is no duration",
                    hint='use a number of minutes, or text such as "2h", "30m" or "1d"',
                )
            return minutes
        return None
