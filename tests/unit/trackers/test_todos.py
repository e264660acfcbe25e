"""Lists of todos given as JSON text (T-7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import BadInput
from maestro.model.task import Progress
from maestro.trackers.base import Note
from maestro.trackers.todos import Todos

LIST = [
    {"content": "Write the parser", "status": "completed", "activeForm": "Writing the parser"},
    {"content": "Größe", "status": "in_progress", "activeForm": "…"},
    {"content": "Test it", "status": "pending", "id": "t", "dependencies": ["x"], "files": ["a.py"]},
]


def test_todowrite(tmp_path: Path) -> None:
    one, two, three = Todos(tmp_path, json.dumps(LIST)).load()
    assert one.title == "Write the parser"
    assert one.id.startswith("write-the-parser-")
    assert one.progress is Progress.DONE
    assert two.progress is Progress.IN_PROGRESS
    assert (three.id, three.dependencies, three.files) == ("t", ("x",), ("a.py",))
    assert one.context == {}
    assert Todos(tmp_path, json.dumps({"todos": LIST})).load() == [one, two, three]


def test_the_same_list_is_the_same_backlog(tmp_path: Path) -> None:
    tracker = Todos(tmp_path, json.dumps(LIST))
    tracker.write("t", Progress.DONE, Note(run_id="r"))
    again = Todos(tmp_path, json.dumps([{**one, "status": "pending"} for one in reversed(LIST)]))
    assert again.identity == tracker.identity
    assert [task.progress for task in again.load()] == [Progress.DONE, Progress.OPEN, Progress.OPEN]
    other = Todos(tmp_path, json.dumps([*LIST, {"content": "more"}]))
    assert other.load()[2].progress is Progress.OPEN


def test_equal_todos_are_kept_for_planning(tmp_path: Path) -> None:
    one, two = Todos(tmp_path, '[{"content": "x"}, {"content": "x"}]').load()
    assert one.id == two.id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the list of todos is empty"),
        ("\ufeff  ", "the list of todos is empty"),
        ("nope", "the list of todos is not valid JSON"),
        ('{"x": 1}', "the list of todos is an object, not a list"),
        ("[1]", "entry 1 is a number, not an object"),
        ('[{"status": "pending"}]', "entry 1 has no id"),
        ('[{"content": ""}]', "entry 1 has no id"),
        ('[{"content": ["x"]}]', "entry 1: content must be text, not a list"),
    ],
)
def test_refused(tmp_path: Path, text: str, said: Any) -> None:
    with pytest.raises(BadInput) as caught:
        Todos(tmp_path, text)
    assert said in caught.value.message


def test_an_empty_list_is_fine(tmp_path: Path) -> None:
    assert Todos(tmp_path, "[]").load() == []
