"""A session's list of todos as the backlog (T-7): no tracker, no file, the same features."""

from __future__ import annotations

import json
from pathlib import Path

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE

TODOS = [
    {"content": "Was done", "status": "completed", "activeForm": "Doing it"},
    {"content": "[P:Group-x] Write the form", "status": "pending", "activeForm": "Writing the form"},
    {"content": "[P:Group-x] Write the check", "status": "in_progress", "activeForm": "Writing the check"},
    {"content": "Say so", "status": "pending", "id": "say", "dependencies": ["form"]},
    {"content": "The form's help", "status": "pending", "id": "form"},
]
FLAGS = ("--no-tests", "--json", "--agent-command", WRITES_ONE_FILE)


def test_todos_on_standard_input_are_run_and_known_again(repo: Repository) -> None:
    said = maestro("run", "--todos", "-", *FLAGS, cwd=repo.path, stdin=json.dumps(TODOS))
    assert said.code == 0, said.err
    tasks = said.json["tasks"]
    assert [task["attempts"] for task in tasks.values()].count(1) == 4
    assert {"say", "form"} <= tasks.keys()
    assert len(repo.files(said.json["integration_branch"])) == 1 + 4

    again = maestro("run", "--todos", "-", *FLAGS, cwd=repo.path, stdin=json.dumps({"todos": TODOS[::-1]}))
    assert (again.code, again.json["reason"]) == (0, "everything was done before this run")


def test_todos_from_a_file_and_one_group_of_them(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "todos.json").write_text(json.dumps(TODOS))
    said = maestro("run", "--todos", str(tmp_path / "todos.json"), "--group-id", "x", *FLAGS, cwd=repo.path)
    assert said.code == 0, said.err
    assert len(repo.files(said.json["integration_branch"])) == 1 + 2
