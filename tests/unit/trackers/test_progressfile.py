"""Progress kept beside the runs: what others write meanwhile counts, and what is known is not understood again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from maestro.errors import StateError, TrackerError
from maestro.model.task import Progress
from maestro.store.atomic import write_atomically
from maestro.trackers import progressfile
from maestro.trackers.base import Note
from maestro.trackers.progressfile import ProgressFile

NOTE = Note(run_id="run-7", reason='line one\n"two"\t\u2028 größe \U0001f600 \x00', branch="maestro/run-7/a")
STRANGE = ["a", "b c", 'q"uote', "back\\slash", "größe", "\u0001", "\n", "\U0001f600", "", "}}\n"]


def of(folder: Path) -> ProgressFile:
    return ProgressFile(folder, "taskfile:tasks.json")


def states(file: ProgressFile) -> dict[str, Progress]:
    return {task: one.progress for task, one in file.read().items()}


def test_another_reads_what_was_written(tmp_path: Path) -> None:
    file = of(tmp_path)
    for task in STRANGE:
        file.record(task, Progress.IN_PROGRESS, NOTE)
    file.record("b c", Progress.DONE, Note(run_id="run-8", commit="c" * 40))
    assert file.read() == of(tmp_path).read()
    assert list(file.read()) == STRANGE
    assert states(file) == {**dict.fromkeys(STRANGE, Progress.IN_PROGRESS), "b c": Progress.DONE}
    assert file.read()["a"].reason == NOTE.reason


def test_each_task_has_its_line(tmp_path: Path) -> None:
    file = of(tmp_path)
    file.record("a", Progress.DONE, NOTE)
    file.record("b", Progress.OPEN, NOTE)
    head, first, second, end = file.path.read_text().split("\n", 3)
    assert (head, end) == ('{"format": 1, "source": "taskfile:tasks.json", "tasks": {', "}}\n")
    assert [json.loads(f"{{{line.rstrip(',')}}}").keys() for line in (first, second)] == [{"a"}, {"b"}]


def test_what_another_wrote_meanwhile_is_kept(tmp_path: Path) -> None:
    one, other = of(tmp_path), of(tmp_path)
    one.record("a", Progress.IN_PROGRESS, NOTE)
    other.record("b", Progress.DONE, NOTE)
    other.record("a", Progress.BLOCKED, NOTE)
    assert states(one) == {"a": Progress.BLOCKED, "b": Progress.DONE}
    one.record("c", Progress.DONE, NOTE)
    other.forget("a")
    one.record("d", Progress.OPEN, NOTE)
    assert states(other) == {"b": Progress.DONE, "c": Progress.DONE, "d": Progress.OPEN}


def test_the_same_bytes_are_understood_once(tmp_path: Path, mocker: MockerFixture) -> None:
    of(tmp_path).record("a", Progress.OPEN, NOTE)
    file = of(tmp_path)
    parse = mocker.spy(progressfile._Content, "model_validate_json")
    made = mocker.spy(progressfile, "_line")
    for task in "bcd":
        file.record(task, Progress.DONE, NOTE)
        file.read()
    assert parse.call_count == 1
    assert made.call_count == 4  # that of the other once, and each of its own


def test_a_file_of_the_older_shape_is_taken_over(tmp_path: Path) -> None:
    file = of(tmp_path)
    kept = {"run_id": "r", "progress": "done", "at": "2025-01-01T00:00:00.000Z"}
    write_atomically(
        file.path, json.dumps({"format": 1, "source": file.identity, "tasks": {"a": kept}}, indent=1).encode()
    )
    file.record("b", Progress.OPEN, Note(run_id="r"))
    tasks = json.loads(file.path.read_bytes())["tasks"]
    assert tasks["a"] == kept
    assert tasks["b"]["progress"] == "open"


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"\0", b'\xef\xbb\xbf{"format": 1, "source": "", "tasks": {}}'])
def test_damage_is_seen_by_who_knew_the_file_and_who_did_not(tmp_path: Path, damage: bytes) -> None:
    file = of(tmp_path)
    file.record("a", Progress.DONE, NOTE)
    file.path.write_bytes(damage)
    for act in (file.read, of(tmp_path).read, lambda: file.record("b", Progress.DONE, NOTE), lambda: file.forget("a")):
        with pytest.raises(TrackerError, match="cannot be read"):
            act()
    assert file.path.read_bytes() == damage


def test_a_file_moved_away_is_forgotten(tmp_path: Path) -> None:
    file = of(tmp_path)
    file.record("a", Progress.DONE, NOTE)
    before = file.path.read_bytes()
    file.path.unlink()
    assert not file.read()
    file.record("b", Progress.DONE, NOTE)
    assert list(file.read()) == ["b"]
    file.path.write_bytes(before)
    assert list(file.read()) == ["a"]


def test_the_last_task_forgotten(tmp_path: Path) -> None:
    file = of(tmp_path)
    file.record("a", Progress.DONE, NOTE)
    file.forget("a")
    assert not of(tmp_path).read()
    file.record("b", Progress.DONE, NOTE)
    assert list(of(tmp_path).read()) == ["b"]


def test_a_write_that_is_not_there_afterwards_is_an_error(tmp_path: Path, mocker: MockerFixture) -> None:
    file = of(tmp_path)
    file.record("a", Progress.OPEN, NOTE)
    mocker.patch.object(progressfile, "write_atomically")  # says it has written
    with pytest.raises(TrackerError, match="does not hold what was just written"):
        file.record("a", Progress.DONE, NOTE)
    assert states(file) == {"a": Progress.OPEN}


def test_a_write_that_arrives_damaged_is_an_error(tmp_path: Path, mocker: MockerFixture) -> None:
    file = of(tmp_path)
    mocker.patch.object(
        progressfile, "write_atomically", lambda path, data: write_atomically(path, data.replace(b"}}", b"}"))
    )
    with pytest.raises(TrackerError, match="cannot be read"):
        file.record("a", Progress.DONE, NOTE)


def test_somebody_who_ignores_the_lock_and_keeps_the_record_does_no_harm(tmp_path: Path, mocker: MockerFixture) -> None:
    file = of(tmp_path)
    mocker.patch.object(
        progressfile, "write_atomically", lambda path, data: write_atomically(path, data.replace(b",", b" ,"))
    )
    file.record("a", Progress.DONE, Note(run_id="r"))
    assert states(file) == {"a": Progress.DONE}


def test_what_could_not_be_written_is_not_taken_for_known(tmp_path: Path, mocker: MockerFixture) -> None:
    file = of(tmp_path)
    file.record("a", Progress.OPEN, NOTE)
    refusing = mocker.patch.object(progressfile, "write_atomically", side_effect=StateError("the disk is full"))
    with pytest.raises(StateError):
        file.record("a", Progress.DONE, NOTE)
    mocker.stop(refusing)
    assert states(file) == {"a": Progress.OPEN}
    file.record("b", Progress.DONE, NOTE)
    assert states(of(tmp_path)) == {"a": Progress.OPEN, "b": Progress.DONE}
