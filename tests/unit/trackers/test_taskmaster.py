"""TaskMaster's file in its three shapes, its subtasks, and what a write leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note
from maestro.trackers.taskmaster import TaskMaster

NOTE = Note(run_id="run-1", reason="a reason that has no room", branch="b")


def project(folder: Path, document: Any, **options: Any) -> TaskMaster:
    path = folder / ".taskmaster" / "tasks" / "tasks.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    return TaskMaster(folder, **options)


def by_id(tracker: TaskMaster) -> dict[str, Task]:
    return {task.id: task for task in tracker.load()}


def statuses(tracker: TaskMaster) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in json.loads(tracker.source.read_text())["tasks"]:
        found[str(entry["id"])] = entry.get("status")
        found |= {f"{entry['id']}.{one['id']}": one.get("status") for one in entry.get("subtasks", ())}
    return found


LIST = [{"id": 1, "title": "One"}, {"id": "2", "dependencies": [1], "status": "done"}]


@pytest.mark.parametrize("document", [LIST, {"tasks": LIST, "meta": {}}, {"master": {"tasks": LIST, "metadata": {}}}])
def test_three_shapes(tmp_path: Path, document: Any) -> None:
    tracker = project(tmp_path, document)
    assert tracker.load() == [Task(id="1", title="One"), Task(id="2", dependencies=("1",), progress=Progress.DONE)]
    assert tracker.identity == "taskmaster:.taskmaster/tasks/tasks.json"


def test_fields(tmp_path: Path) -> None:
    entry = {"id": 3, "description": "What.", "details": "How.", "testStrategy": "pytest", "priority": "high", "x": 1}
    [task] = project(tmp_path, [entry]).load()
    assert task == Task(id="3", description="What.\n\nHow.", acceptance="Tests: pytest", priority=1, context={"x": 1})


TAGS = {"alpha": {"tasks": [{"id": 1}]}, "beta": {"tasks": [{"id": 2}]}}


def test_tag_asked_for(tmp_path: Path) -> None:
    tracker = project(tmp_path, TAGS, tag="beta")
    assert [task.id for task in tracker.load()] == ["2"]
    assert tracker.identity.endswith("#beta")
    tracker.write("2", Progress.DONE, NOTE)
    assert json.loads(tracker.source.read_text()) == {**TAGS, "beta": {"tasks": [{"id": 2, "status": "done"}]}}


def test_master_is_the_default(tmp_path: Path) -> None:
    assert [task.id for task in project(tmp_path, {**TAGS, "master": {"tasks": [{"id": 3}]}}).load()] == ["3"]


def test_the_only_tag_is_the_default(tmp_path: Path) -> None:
    assert [task.id for task in project(tmp_path, {"beta": TAGS["beta"], "note": "x"}).load()] == ["2"]


def test_the_tag_taskmaster_works_on(tmp_path: Path) -> None:
    state = tmp_path / ".taskmaster" / "state.json"
    state.parent.mkdir()
    state.write_text('{"currentTag": "beta"}')
    tracker = project(tmp_path, {**TAGS, "master": {"tasks": []}})
    state.write_text('{"currentTag": "alpha"}')  # switched while a run goes on
    assert [task.id for task in tracker.load()] == ["2"]
    assert tracker.identity.endswith("#beta")


@pytest.mark.parametrize("state", ["", "[]", '{"currentTag": 1}', '{"currentTag": "gone"}'])
def test_a_state_that_does_not_help(tmp_path: Path, state: str) -> None:
    (tmp_path / ".taskmaster").mkdir()
    (tmp_path / ".taskmaster" / "state.json").write_text(state)
    assert [task.id for task in project(tmp_path, {"beta": TAGS["beta"]}).load()] == ["2"]


@pytest.mark.parametrize(
    ("document", "tag", "said"),
    [
        (TAGS, None, "has several tags: alpha, beta"),
        (TAGS, "gamma", "has no tag 'gamma'"),
        ({"tasks": []}, "gamma", "has no tags, so there is no tag 'gamma'"),
        ({"tasks": [], **TAGS}, None, "holds both a list of tasks and the tags alpha, beta"),
        ({}, None, "is not a TaskMaster file"),
        ({"master": {"tasks": {}}}, None, "is not a TaskMaster file"),
        ("text", None, "is not valid JSON"),
        ('"text"', None, "is not a TaskMaster file"),
        ([5], None, "entry 1 is a number, not an object"),
        ({"master": {"tasks": [{"id": 1}, {"title": "x"}]}}, None, "tasks.json (tag master), entry 2 has no id"),
        ([{"id": 1, "subtasks": {"id": 1}}], None, "entry 1: subtasks must be a list, not an object"),
        ([{"id": 1, "subtasks": [{"title": "x"}]}], None, "entry 1, subtask 1 has no id"),
    ],
)
def test_refused(tmp_path: Path, document: Any, tag: str | None, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        project(tmp_path, document, tag=tag).load()
    assert said in caught.value.message


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\.taskmaster/tasks/tasks\.json does not exist"):
        TaskMaster(tmp_path).load()


FAMILY = {
    "tasks": [
        {"id": 1, "title": "Base"},
        {
            "id": 2,
            "title": "Parent",
            "description": "The whole.",
            "dependencies": [1],
            "priority": "high",
            "subagent_type": "tester",
            "subtasks": [
                {"id": 1, "title": "First"},
                {"id": 2, "title": "Second", "dependencies": [1], "priority": "low"},
                {"id": 3, "dependencies": ["2.1", "2"], "subagent_type": "own"},
                {"id": 4, "dependencies": ["3", 9, "7.1"], "status": "cancelled"},
            ],
        },
        {"id": 3, "dependencies": [2]},
        {"id": 4, "dependencies": ["2.2"], "subtasks": []},
    ]
}


def test_subtasks_are_the_tasks(tmp_path: Path) -> None:
    tracker = project(tmp_path, FAMILY)
    assert [task.id for task in tracker.load()] == ["1", "2.1", "2.2", "2.3", "2.4", "3", "4"]
    tasks = by_id(tracker)
    assert tasks["2.1"].dependencies == ("1",)  # its parent's
    assert tasks["2.2"].dependencies == ("2.1", "1")  # a sibling by its number
    assert tasks["2.3"].dependencies == ("2.1", "2.2", "1")
    assert tasks["2.4"].dependencies == ("2.3", "9", "7.1", "1")  # what is unknown stays, for planning to refuse
    assert tasks["3"].dependencies == ("2.1", "2.2", "2.3")  # all of the parent's but the cancelled one
    assert tasks["4"].dependencies == ("2.2",)


def test_subtasks_inherit(tmp_path: Path) -> None:
    tasks = by_id(project(tmp_path, FAMILY))
    assert (tasks["2.1"].priority, tasks["2.2"].priority) == (1, 3)
    assert (tasks["2.1"].subagent_type, tasks["2.3"].subagent_type) == ("tester", "own")
    assert tasks["2.1"].context["parent"] == {"id": "2", "title": "Parent", "description": "The whole."}


def test_a_subtask_may_depend_on_an_entry_by_number(tmp_path: Path) -> None:
    document = [{"id": 1}, {"id": 5}, {"id": 6, "subtasks": [{"id": 1}, {"id": 2, "dependencies": [5, 1]}]}]
    assert by_id(project(tmp_path, document))["6.2"].dependencies == ("5", "6.1")


def test_whole_ids_of_subtasks(tmp_path: Path) -> None:
    document = [{"id": 1, "subtasks": [{"id": "1.1"}, {"id": "1.2", "dependencies": ["1.1"]}]}]
    tracker = project(tmp_path, document)
    assert [(task.id, task.dependencies) for task in tracker.load()] == [("1.1", ()), ("1.2", ("1.1",))]


def test_the_parent_is_done_with_its_last_subtask(tmp_path: Path) -> None:
    tracker = project(tmp_path, FAMILY)
    for task in ("2.3", "2.1"):
        tracker.write(task, Progress.DONE, NOTE)
        assert statuses(tracker)["2"] is None
    tracker.write("2.2", Progress.DONE, NOTE)
    assert statuses(tracker) == {
        "1": None, "2": "done", "2.1": "done", "2.2": "done", "2.3": "done", "2.4": "cancelled", "3": None, "4": None
    }  # fmt: skip
    assert by_id(tracker)["3"].dependencies == ("2",)
    assert by_id(tracker)["2"].progress is Progress.DONE


def test_the_parent_is_open_again_with_a_subtask(tmp_path: Path) -> None:
    tracker = project(tmp_path, {"tasks": [{"id": 1, "subtasks": [{"id": 1}, {"id": 2}]}]})
    for task in ("1.1", "1.2"):
        tracker.write(task, Progress.DONE, NOTE)
    tracker.write("1.1", Progress.OPEN, NOTE)
    assert statuses(tracker) == {"1": "pending", "1.1": "pending", "1.2": "done"}


def test_an_open_parent_of_done_subtasks_is_a_task(tmp_path: Path) -> None:
    document = {"tasks": [{"id": 1, "subtasks": [{"id": 1, "status": "done"}]}, {"id": 2, "dependencies": [1]}]}
    tracker = project(tmp_path, document)
    assert {task.id: task.progress for task in tracker.load()} == {
        "1.1": Progress.DONE,
        "1": Progress.OPEN,
        "2": Progress.OPEN,
    }
    assert by_id(tracker)["2"].dependencies == ("1",)
    tracker.write("1", Progress.DONE, NOTE)
    assert statuses(tracker) == {"1": "done", "1.1": "done", "2": None}


@pytest.mark.parametrize(
    ("word", "progress"),
    [
        ("done", Progress.DONE),
        ("cancelled", Progress.CANCELLED),
        ("deferred", Progress.DEFERRED),
        ("blocked", Progress.BLOCKED),
    ],
)
def test_a_parent_holds_its_open_subtasks(tmp_path: Path, word: str, progress: Progress) -> None:
    subtasks = [{"id": 1, "status": "pending"}, {"id": 2, "status": "done"}, {"id": 3, "status": "in-progress"}]
    tracker = project(tmp_path, [{"id": 1, "status": word, "subtasks": subtasks}])
    tasks = by_id(tracker)
    assert (tasks["1.1"].progress, tasks["1.2"].progress, tasks["1.3"].progress) == (progress, Progress.DONE, progress)


def test_a_done_parent_with_a_cancelled_subtask_satisfies(tmp_path: Path) -> None:
    document = [
        {"id": 1, "status": "done", "subtasks": [{"id": 1, "status": "cancelled"}]},
        {"id": 2, "dependencies": [1]},
    ]
    tasks = by_id(project(tmp_path, document))
    assert tasks["2"].dependencies == ("1",)
    assert tasks["1"].progress is Progress.DONE


def test_a_parent_is_not_written_itself(tmp_path: Path) -> None:
    tracker = project(tmp_path, FAMILY)
    with pytest.raises(TrackerError, match="done through its subtasks"):
        tracker.write("2", Progress.DONE, NOTE)


def test_review_waits_for_a_person(tmp_path: Path) -> None:
    assert project(tmp_path, [{"id": 1, "status": "review"}]).load()[0].progress is Progress.BLOCKED


def test_equal_ids_are_kept_and_not_written(tmp_path: Path) -> None:
    tracker = project(tmp_path, [{"id": 1}, {"id": "1"}])
    assert [task.id for task in tracker.load()] == ["1", "1"]
    with pytest.raises(TrackerError, match="2 tasks '1'"):
        tracker.write("1", Progress.DONE, NOTE)


WRITTEN = """{
    "other": {"tasks": [{"id": 1, "status": "pending"}], "metadata": {"z": 1.50, "a": 1E3}},
    "master": {
        "metadata": {
            "description": "Größe \\u00e9 \\"x\\"",
            "created": "2024-01-01T00:00:00.000Z"
        },
        "tasks": [
            {
                "unknown": {"b": [ 1,2 ], "a": null},
                "status": "pending",
                "id": 1,
                "subtasks": [
                    {"title": "emoji 🚀", "id": 1, "status": "pending"}, {"id":2}
                ]
            },
            {"id": "1",  "id": 2, "title": "", "tags": []}
        ]
    },
    "last": false
}"""


def test_every_other_byte_is_kept(tmp_path: Path) -> None:
    tracker = project(tmp_path, WRITTEN)
    tracker.claim("1.1", NOTE)
    claimed = WRITTEN.replace('"id": 1, "status": "pending"}, {"id":2}', '"id": 1, "status": "in-progress"}, {"id":2}')
    assert tracker.source.read_text() == claimed
    tracker.write("1.1", Progress.DONE, NOTE)
    tracker.write("1.2", Progress.DONE, NOTE)
    tracker.write("2", Progress.BLOCKED, NOTE)
    expected = (
        claimed.replace("in-progress", "done")
        .replace('{"id":2}', '{"id":2,"status":"done"}')
        .replace('"status": "pending",\n                "id": 1', '"status": "done",\n                "id": 1')
        .replace('"tags": []}', '"tags": [],  "status": "blocked"}')
    )
    assert tracker.source.read_text() == expected


def test_a_change_by_someone_else_meanwhile_is_kept(tmp_path: Path) -> None:
    tracker = project(tmp_path, LIST)
    tracker.load()
    project(tmp_path, [{"id": 9}, *LIST])
    tracker.write("1", Progress.DONE, NOTE)
    assert json.loads(tracker.source.read_text()) == [{"id": 9}, {**LIST[0], "status": "done"}, LIST[1]]
