"""Which subagent does a task (P-9)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.task import Task
from maestro.planning.choose_agent import choose_subagent

KEYWORDS = [
    ("Add an API endpoint", "backend-architect"),
    ("Style the UI", "frontend-developer"),
    ("React component", "frontend-developer"),
    ("Raise COVERAGE with pytest", "test-automator"),
    ("Audit auth", "security-auditor"),
    ("database", "backend-architect"),  # a tie: the first of the list
    ("database migration", "database-architect"),
    ("server database migration", "backend-architect"),
    ("security test", "test-automator"),
    ("build the guide for apis, contested reactions", "backend-architect"),  # no whole word: default
    ("test test test api server", "backend-architect"),  # a word said often counts once
    ("", "backend-architect"),
]


@pytest.mark.parametrize(("text", "subagent"), KEYWORDS)
def test_words_decide(text: str, subagent: str) -> None:
    for fields in ({"title": text}, {"description": text}, {"labels": tuple(text.split())}):
        assert choose_subagent(Task(id="t", **fields), None).subagent == subagent  # type: ignore[arg-type]


def test_the_name_of_a_group_is_no_word_of_the_task() -> None:
    task = Task(id="t", title="Paint [P:Group-auth]", labels=("parallel:Group-auth",))
    assert choose_subagent(task, None).why == "default"


@pytest.mark.parametrize(
    ("fields", "available", "subagent", "why"),
    [
        ({"subagent_type": "mine"}, None, "mine", "task"),
        ({"subagent_type": "mine"}, {"mine"}, "mine", "task"),
        ({"subagent_type": "mine", "fallback_agents": ("b", "c")}, {"c"}, "c", "fallback"),
        ({"subagent_type": "mine", "fallback_agents": ("b", "c")}, {"b", "c"}, "b", "fallback"),
        (
            {"subagent_type": "mine", "fallback_agents": ("b",), "title": "react"},
            set(),
            "frontend-developer",
            "keywords",
        ),
        ({"subagent_type": "mine"}, set(), "backend-architect", "default"),
        ({"fallback_agents": ("b",)}, None, "b", "fallback"),
        ({"title": "react react api"}, {"backend-architect"}, "backend-architect", "keywords"),
    ],
)
def test_the_tasks_own_words_come_first(
    fields: dict[str, Any], available: set[str] | None, subagent: str, why: str
) -> None:
    choice = choose_subagent(Task(id="t", **fields), available)
    assert (choice.subagent, choice.why) == (subagent, why)
    assert choice.reason


def test_the_table_is_configuration() -> None:
    table = {"writer": ["Docs"], "painter": ["docs", "colour"]}
    assert choose_subagent(Task(id="t", title="docs"), None, table).subagent == "writer"
    assert choose_subagent(Task(id="t", title="docs, colour"), None, table).subagent == "painter"
    assert choose_subagent(Task(id="t", title="api"), None, table).why == "default"
