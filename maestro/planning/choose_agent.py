"""Which subagent does a task (P-9): its own word, its fallbacks, else the words of its text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from maestro.model.task import Task
from maestro.planning.markers import MARKER

DEFAULT_SUBAGENT = "backend-architect"

DEFAULT_TABLE: Mapping[str, Collection[str]] = MappingProxyType(
    {
        "backend-architect": ("api", "backend", "server", "database"),
        "frontend-developer": ("ui", "component", "frontend", "react"),
        "test-automator": ("test", "pytest", "coverage"),
        "security-auditor": ("security", "auth", "audit"),
        "database-architect": ("database", "migration", "schema"),
    }
)
"""Subagent → keywords; the order decides ties."""

_WORD = re.compile(r"\w+")


class Choice(NamedTuple):
    """The subagent for a task, and how it was chosen."""

    subagent: str
    why: Literal["task", "fallback", "keywords", "default"]
    reason: str  # a clause for people


def choose_subagent(
    task: Task, available: Collection[str] | None, table: Mapping[str, Collection[str]] = DEFAULT_TABLE
) -> Choice:
    """Choose by the task's fields, else by the number of different keywords in title, description and labels.

    `available` are the subagents known to exist; None where that is not known, and then any name will do. Keywords
    choose among available subagents where one of these scores at all.
    """
    wanted = task.subagent_type
    if wanted and _is_there(wanted, available):
        return Choice(subagent=wanted, why="task", reason="the task asks for it")
    for fallback in task.fallback_agents:
        if _is_there(fallback, available):
            missing = f"{wanted!r} is not available" if wanted else "the task asks for no other"
            return Choice(subagent=fallback, why="fallback", reason=f"{missing}, this is a fallback of the task")
    return _by_keywords(task, available, table)


def _by_keywords(task: Task, available: Collection[str] | None, table: Mapping[str, Collection[str]]) -> Choice:
    # The name of a group is no word of the task: `[P:Group-auth]` makes nobody a security auditor.
    text = MARKER.sub(" ", " ".join((task.title, task.description, *_plain_labels(task))))
    words = {word.casefold() for word in _WORD.findall(text)}
    found = {name: [key for key in keys if key.casefold() in words] for name, keys in table.items()}
    scoring = [name for name, keys in found.items() if keys]
    if not scoring:
        return Choice(subagent=DEFAULT_SUBAGENT, why="default", reason="no keyword in the text of the task")
    there = [name for name in scoring if _is_there(name, available)]
    best = max(there or scoring, key=lambda name: len(found[name]))
    named = ", ".join(found[best])
    return Choice(subagent=best, why="keywords", reason=f"the text of the task says {named}")


def _plain_labels(task: Task) -> list[str]:
    return [label for label in task.labels if not label.startswith("parallel:Group-")]


def _is_there(name: str, available: Collection[str] | None) -> bool:
    return available is None or name in available
