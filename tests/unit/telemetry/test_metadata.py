"""S-1: metadata.json has exactly these fields, and says completed only when the engine said so."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import StateError
from maestro.model.events import Event, Landed, RunEnded, TaskCancelled
from maestro.model.group import GroupMetadata
from maestro.model.states import GroupPhase, GroupStatus, RunStatus
from maestro.store.layout import Layout
from maestro.telemetry.metadata import MetadataObserver
from maestro.testing.story import DONE, STORY, at, ended, group, started, starting

FIELDS = [
    "group_id",
    "group_name",
    "phase",
    "tasks",
    "created_at",
    "started_at",
    "completed_at",
    "status",
    "results",
    "errors",
    "pre_group_refresh_completed",
]


def after(folder: Path, *events: Event) -> dict[str, dict[str, Any]]:
    layout = Layout(folder)
    observer = MetadataObserver(layout)
    for event in events:
        observer.notify(event)
    observer.close()
    return {path.parent.name: json.loads(path.read_text()) for path in layout.groups.glob("*/metadata.json")}


def test_groups_are_pending_as_soon_as_the_run_started(tmp_path: Path) -> None:
    files = after(tmp_path, started())
    assert sorted(files) == ["X", "Y"]
    assert list(files["X"]) == FIELDS
    assert files["X"]["group_name"] == "Parallel Group X"
    assert files["X"]["status"] == "pending"
    assert files["X"]["phase"] == "pre_execution"
    assert files["X"]["tasks"] == ["a", "b"]
    assert files["X"]["created_at"] == "2025-03-01T12:00:00.000Z"
    assert files["X"]["started_at"] is None
    assert [result["status"] for result in files["X"]["results"]] == ["pending", "pending"]


def test_a_whole_run(tmp_path: Path) -> None:
    files = after(tmp_path, *STORY)
    group_x = files["X"]
    assert list(group_x) == FIELDS
    assert group_x["status"] == "failed"
    assert group_x["phase"] == "post_execution"
    assert group_x["pre_group_refresh_completed"] is True
    assert group_x["started_at"] == "2025-03-01T12:00:01.000Z"
    assert group_x["completed_at"] == "2025-03-01T12:00:22.000Z"
    assert group_x["errors"] == ["b: conflict in m.py"]
    assert group_x["results"] == [
        {
            "task_id": "a",
            "subagent": "backend-architect",
            "skills_applied": ["tdd"],
            "status": "completed",
            "started_at": "2025-03-01T12:00:02.000Z",
            "completed_at": "2025-03-01T12:00:16.000Z",
            "attempts": 1,
            "commit": "f" * 40,
            "reason": "",
            "run_id": "r1",
        },
        {
            "task_id": "b",
            "subagent": None,
            "skills_applied": [],
            "status": "failed",
            "started_at": "2025-03-01T12:00:02.000Z",
            "completed_at": "2025-03-01T12:00:21.000Z",
            "attempts": 2,
            "commit": None,
            "reason": "conflict in m.py",
            "run_id": "r1",
        },
    ]
    assert files["Y"]["status"] == "blocked"


LANDED_A = (
    started(tasks=("a",), groups={"X": ("a",)}),
    group("X", 1, GroupPhase.CONCURRENT_EXECUTION, GroupStatus.IN_PROGRESS),
    starting("a", 1, 2),
    ended("a", 1, 3, DONE, 1),
    Landed(at=at(4), task="a", commit="f" * 40, branch="integration/r1"),
)


def test_a_group_whose_tasks_have_all_landed_is_completed_only_by_the_engines_word(tmp_path: Path) -> None:
    before = after(tmp_path, *LANDED_A)["X"]
    assert before["results"][0]["status"] == "completed"
    assert (before["status"], before["completed_at"]) == ("in_progress", None)
    said = group("X", 5, GroupPhase.POST_EXECUTION, GroupStatus.COMPLETED)
    now = after(tmp_path, *LANDED_A, said)["X"]
    assert (now["status"], now["completed_at"]) == ("completed", "2025-03-01T12:00:05.000Z")


def test_a_group_that_an_interrupted_run_leaves_behind_is_blocked_so_that_nobody_waits_for_it(tmp_path: Path) -> None:
    left = after(
        tmp_path,
        *LANDED_A[:3],
        TaskCancelled(at=at(8), task="a", reason="the run was stopped"),
        RunEnded(at=at(9), status=RunStatus.INTERRUPTED),
    )["X"]
    assert (left["status"], left["completed_at"]) == ("blocked", "2025-03-01T12:00:09.000Z")
    assert left["errors"] == ["the run was interrupted"]
    assert left["results"][0]["status"] == "blocked"


def test_what_was_written_can_be_read_as_a_record(tmp_path: Path) -> None:
    after(tmp_path, *STORY)
    text = Layout(tmp_path).metadata("X").read_text()
    metadata = GroupMetadata.model_validate_json(text)
    assert metadata.is_final
    assert metadata.run_id == "r1"
    assert metadata.to_json() == text


def test_odd_group_names_get_folders_of_their_own(tmp_path: Path) -> None:
    after(tmp_path, started(groups={"größe/1": ("a",), "..": ("b",), "__": ("c",)}))
    folders = [path.parent for path in Layout(tmp_path).groups.glob("*/metadata.json")]
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {Layout(tmp_path).groups}


def test_a_run_without_groups_writes_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    assert after(tmp_path, started(groups={})) == {}
    assert not Layout(tmp_path).groups.exists()
    assert threading.active_count() == before


def test_a_disk_that_refuses_is_told_to_the_fan_out(tmp_path: Path) -> None:
    Layout(tmp_path).root.mkdir(parents=True)
    Layout(tmp_path).groups.write_text("in the way")
    observer = MetadataObserver(Layout(tmp_path))
    observer.notify(started())
    with pytest.raises(StateError, match=r"metadata\.json cannot be written"):
        observer.close()


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    observer = MetadataObserver(layout)
    observer.notify(started())
    read, stop = [], threading.Event()

    def keep_reading() -> None:
        while not stop.is_set():
            try:
                read.append(json.loads(layout.metadata("X").read_text())["status"])
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        for event in STORY[1:]:
            observer.notify(event)
        observer.close()
    finally:
        stop.set()
        reader.join()
    assert set(read) <= {"pending", "in_progress", "failed"}
