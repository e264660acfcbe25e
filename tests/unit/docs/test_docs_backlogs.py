"""Every example of docs/backlogs.md loads with the tracker that `auto` picks for it, and can be planned."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maestro.model.plan import PlanOptions
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.trackers.detect import kind_of_file
from maestro.trackers.fields import ALIASES
from maestro.trackers.registry import KINDS, open_tracker

PAGE = (Path(__file__).parents[3] / "docs" / "backlogs.md").read_text()
EXAMPLES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
WHAT = {
    "tasks.json": ("taskfile", ["schema", "api", "old", "guide"]),
    "tasks.yaml": ("taskfile", ["a", "1.10"]),
    "tasks.jsonl": ("taskfile", ["a", "2"]),
    ".taskmaster/tasks/tasks.json": ("taskmaster", ["1", "2.1", "2.2", "3"]),
    "tasks.md": ("markdown", ["T001", "T002", "T003", "T004"]),
    "todo.md": ("markdown", ["fix-the-login-page", "2.1", "was-done"]),
    "epic.json": ("epic", ["s1", "s2"]),
    "-": ("todos", ["fix-the-login-page-ff97c4", "was-done-7c6891"]),
    "groups.json": ("taskfile", ["prep", "ui", "api", "docs"]),
}


def load(name: str, folder: Path) -> tuple[str, list[Task]]:
    if name == "-":
        return "todos", open_tracker("todos", repository=folder, text=EXAMPLES[name]).load()
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(EXAMPLES[name])
    return kind_of_file(file, folder), open_tracker("auto", repository=folder, source=file).load()


def test_no_example_is_left_out() -> None:
    assert EXAMPLES.keys() == WHAT.keys()


@pytest.mark.parametrize("name", WHAT)
def test_the_example_is_read_and_planned(name: str, tmp_path: Path) -> None:
    kind, tasks = load(name, tmp_path)
    assert (kind, [task.id for task in tasks]) == WHAT[name]
    plan = make_plan(tasks, PlanOptions())
    assert not plan.problems
    assert not plan.blocked


def test_every_tracker_has_a_row() -> None:
    assert all(f"| `{kind}` | " in PAGE for kind in KINDS)


def test_every_name_of_a_field_is_there() -> None:
    assert all(f"`{alias}`" in PAGE for aliases in ALIASES.values() for alias in aliases)
