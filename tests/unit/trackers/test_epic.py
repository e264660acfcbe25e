"""Sprint epics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import BadInput
from maestro.model.task import Progress
from maestro.trackers.base import Note
from maestro.trackers.epic import Epic

SPRINT = {
    "id": "S1",
    "name": "Foundation",
    "description": "Lay it.",
    "dependencies": [],
    "estimatedDuration": "3 days",
    "deliverables": ["a schema", {"name": "an API"}],
    "acceptanceCriteria": ["migrates", "answers"],
    "agents": [{"type": "backend", "files": ["src/db.py"]}],
    "files": {"create": ["src/db.py"]},
}


def epic(folder: Path, content: Any, name: str = "epic.json") -> Epic:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return Epic(folder, folder / name)


@pytest.mark.parametrize("key", ["sprints", "phases"])
@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: {"epic": inner}])
def test_sprints_are_tasks(tmp_path: Path, key: str, wrap: Any) -> None:
    second = {"sprintId": 2, "title": "More", "dependencies": ["S1"], "files": ["a.py"], "status": "completed"}
    one, two = epic(tmp_path, wrap({"name": "E", key: [SPRINT, second]})).load()
    assert (one.id, one.title, one.estimate_minutes) == ("S1", "Foundation", 3 * 480)
    assert one.description == "Lay it.\n\nDeliverables:\n- a schema\n- an API"
    assert one.acceptance == "- migrates\n- answers"
    assert one.context["agents"] == SPRINT["agents"]
    assert one.context["files"] == SPRINT["files"]
    assert one.files == ()
    assert (two.id, two.title, two.dependencies, two.progress) == ("2", "More", ("S1",), Progress.DONE)
    assert two.files == ("a.py",)


@pytest.mark.parametrize(("given", "minutes"), [(2, 120), ("1 week", 2400), ("2 hours", 120), ("unclear", None)])
def test_durations(tmp_path: Path, given: object, minutes: float | None) -> None:
    [task] = epic(tmp_path, {"sprints": [{"id": 1, "estimatedDuration": given}]}).load()
    assert task.estimate_minutes == minutes
    assert task.context["estimatedDuration"] == given


def test_yaml(tmp_path: Path) -> None:
    text = "phases:\n- id: a\n  deliverables: one thing\n- id: b\n  dependencies: [a]\n"
    one, two = epic(tmp_path, text, "epic.yaml").load()
    assert one.description == "Deliverables:\n- one thing"
    assert two.dependencies == ("a",)


def test_progress_is_kept_beside(tmp_path: Path) -> None:
    tracker = epic(tmp_path, {"sprints": [SPRINT]})
    before = tracker.source.read_bytes()
    tracker.write("S1", Progress.DONE, Note(run_id="r"))
    assert tracker.load()[0].progress is Progress.DONE
    assert tracker.source.read_bytes() == before
    assert tracker.identity == "epic:epic.json"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"tasks": []}, "epic.json has no sprints"),
        ([], "epic.json has no sprints"),
        ({"sprints": {"a": 1}}, '"sprints" in epic.json is an object, not a list'),
        ({"phases": [1]}, "epic.json, phase 1 is a number, not an object"),
        ({"sprints": [SPRINT, {"name": "x"}]}, "epic.json, sprint 2 has no id"),
        ({"sprints": [{"id": 1, "deliverables": 4}]}, "epic.json, sprint 1: deliverables must be a list, not a number"),
    ],
)
def test_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        epic(tmp_path, content).load()
    assert said in caught.value.message
