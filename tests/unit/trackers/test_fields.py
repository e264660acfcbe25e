"""Entries of a backlog as tasks."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from maestro.errors import BadInput
from maestro.model.task import Progress, Task
from maestro.trackers.fields import task_from
from maestro.trackers.status import meaning, word_for


def read(**fields: Any) -> Task:
    return task_from({"id": "a", **fields}, "tasks.json, entry 1")


def test_least() -> None:
    assert task_from({"id": 7}, "x") == Task(id="7")


@pytest.mark.parametrize("alias", ["dependencies", "depends_on", "dependsOn"])
@pytest.mark.parametrize("value", [["b", 3], "b, 3", ["b", "3", "b"]])
def test_dependencies(alias: str, value: object) -> None:
    assert read(**{alias: value}).dependencies == ("b", "3")


def test_two_aliases_add_up() -> None:
    assert read(dependencies=["b"], depends_on=["c", "b"]).dependencies == ("b", "c")
    assert read(description="What.", details="How.").description == "What.\n\nHow."


@pytest.mark.parametrize("alias", ["acceptance", "acceptanceCriteria", "acceptance_criteria"])
def test_acceptance(alias: str) -> None:
    assert read(**{alias: "works"}).acceptance == "works"
    assert read(**{alias: ["works", "is fast"]}).acceptance == "- works\n- is fast"


def test_test_strategy_is_part_of_the_acceptance() -> None:
    assert read(acceptance="works", testStrategy="by pytest").acceptance == "works\nTests: by pytest"


@pytest.mark.parametrize("alias", ["files", "owned_files", "ownedFiles"])
@pytest.mark.parametrize("value", [["a.py", "b/*.py"], "a.py,b/*.py", [{"path": "a.py"}, "b/*.py"]])
def test_files(alias: str, value: object) -> None:
    assert read(**{alias: value}).files == ("a.py", "b/*.py")


@pytest.mark.parametrize(
    ("value", "priority"),
    [("critical", 0), ("High", 1), ("medium", 2), ("low", 3), ("P1", 1), (0, 0), (7, 7), ("3", 3), (None, 2)],
)
def test_priority(value: object, priority: int) -> None:
    assert read(priority=value).priority == priority


def test_estimate() -> None:
    assert read(estimate="1d").estimate_minutes == 480
    assert read(estimate=20).estimate_minutes == 20


@pytest.mark.parametrize("spelling", [("subagent_type", "fallback_agents", "applicable_skills"),
                                      ("subagentType", "fallbackAgents", "applicableSkills")])  # fmt: skip
def test_agent_fields(spelling: tuple[str, str, str]) -> None:
    given = dict(zip(spelling, ("tester", ["one", "two"], "pytest, mocks"), strict=True))
    for task in (read(**given), read(metadata=given)):
        assert task.subagent_type == "tester"
        assert task.fallback_agents == ("one", "two")
        assert task.applicable_skills == ("pytest", "mocks")
        assert task.context == {}


def test_resources() -> None:
    for task in (
        read(resources=["docker", "gpu"]),
        read(resources="docker, gpu"),
        read(metadata={"resources": ["docker", "gpu"]}),
    ):
        assert task.resources == ("docker", "gpu")
        assert task.context == {}
    with pytest.raises(BadInput, match="resources must be a list, not an object"):
        read(resources={"cpu": 4})


def test_metadata_fills_what_the_entry_leaves_open() -> None:
    task = read(group="own", metadata={"group": "X", "role": "testing", "files": ["a"], "cost": 3})
    assert (task.group, task.role, task.files) == ("own", "testing", ("a",))
    assert task.context == {"metadata": {"cost": 3}}


def test_unknown_fields_are_context() -> None:
    task = read(notes={"deep": [1, None]}, due=dt.date(2024, 1, 2), half="x\ud800", title="é\udc00")
    assert task.title == "é?"
    assert task.context == {"notes": {"deep": [1, None]}, "due": "2024-01-02", "half": "x?"}


def test_labels() -> None:
    assert read(labels=["a"], tags="b,a").labels == ("a", "b")


def test_null_is_absent() -> None:
    assert read(title=None, dependencies=None, status=None, metadata=None, files=None, estimate=None) == Task(id="a")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("text", "tasks.json, entry 1 is text, not an object"),
        (None, "is empty, not an object"),
        ([1], "is a list, not an object"),
        ({}, "has no id"),
        ({"id": None}, "has no id"),
        ({"id": "  "}, "has an empty id"),
        ({"id": True}, "id must be text or a number, not true or false"),
        ({"id": ["a"]}, "id must be text or a number, not a list"),
        ({"id": 1.2}, "id 1.2 is a number with a point"),
        ({"id": "a", "dependencies": 5}, "entry 1 (id 'a'): dependencies must be a list, not a number"),
        ({"id": "a", "depends_on": {"b": 1}}, "depends_on must be a list, not an object"),
        ({"id": "a", "dependencies": [None]}, "dependency must be text or a number, not empty"),
        ({"id": "a", "dependencies": [1.1]}, "dependency 1.1 is a number with a point"),
        ({"id": "a", "title": ["x", {}]}, "title must be text, not an object"),
        ({"id": "a", "status": 1}, "status must be text, not a number"),
        ({"id": "a", "status": True}, "status must be text, not true or false"),
        ({"id": "a", "priority": "must"}, "priority 'must' is not known"),
        ({"id": "a", "priority": [1]}, "priority must be a whole number or a word, not a list"),
        ({"id": "a", "estimate": "soon"}, "estimate 'soon' is no duration"),
        ({"id": "a", "files": 3}, "files must be a list, not a number"),
        ({"id": "a", "files": [["a"]]}, "files must be text, not a list"),
        ({"id": "a", "group": ["X"]}, "group must be text, not a list"),
        ({"id": "x\ud800"}, "id 'x\\ud800' holds half a surrogate pair"),
    ],
)
def test_refused(entry: object, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        task_from(entry, "tasks.json, entry 1")
    assert caught.value.message.startswith("tasks.json, entry 1")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("words", "progress"),
    [
        (["done", "Completed", "closed"], Progress.DONE),
        (["pending", "todo", "open", "ready", "", " "], Progress.OPEN),
        (["in_progress", "in-progress", "In Progress", "started", "doing"], Progress.IN_PROGRESS),
        (["blocked", "review"], Progress.BLOCKED),
        (["deferred"], Progress.DEFERRED),
        (["cancelled", "canceled"], Progress.CANCELLED),
        (["finished?", "almost done", "not done", "won't do"], Progress.UNKNOWN),
    ],
)
def test_status_words(words: list[str], progress: Progress) -> None:
    assert {meaning(word) for word in words} == {progress}


def test_a_file_keeps_its_own_words() -> None:
    assert word_for(Progress.DONE, ["todo", "completed"]) == "completed"
    assert word_for(Progress.DONE, ["todo"]) == "done"
    assert word_for(Progress.BLOCKED, ["review"]) == "blocked"
