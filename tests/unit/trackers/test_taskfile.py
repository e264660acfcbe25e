"""Task files: what is read, what is refused, what writing back keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.store.layout import Layout
from maestro.trackers.base import Note
from maestro.trackers.taskfile import TaskFile

NOTE = Note(run_id="run-7", reason="the tests are red", branch="maestro/run-7/a", saved_ref="refs/maestro/saved/x")


def tracker(folder: Path, content: str, name: str = "tasks.json", **options: Any) -> TaskFile:
    (folder / name).write_bytes(content.encode())
    return TaskFile(folder, folder / name, **options)


FORMS = {
    "tasks.json": '[{"id": 1, "title": "Eins", "depends_on": []}, {"id": "b", "dependsOn": [1], "status": "todo"}]',
    "object.json": '{"version": 2, "tasks": [{"id": "1", "title": "Eins"}, {"id": "b", "dependencies": "1"}]}',
    "tasks.jsonl": '{"id": 1, "title": "Eins"}\r\n\r\n{"id": "b", "dependencies": ["1"]}\r\n',
    "tasks.yaml": "tasks:\n- id: 1\n  title: Eins\n- {id: b, dependencies: [1]}\n",
    "list.yml": "- id: 1\n  title: Eins\n- id: b\n  depends_on: '1'\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(tmp_path: Path, name: str) -> None:
    tasks = tracker(tmp_path, FORMS[name], name).load()
    assert tasks == [Task(id="1", title="Eins"), Task(id="b", dependencies=("1",))]


@pytest.mark.parametrize(("name", "content"), [("a.json", "[]"), ("a.json", '{"tasks": []}'), ("a.yaml", "tasks: []")])
def test_an_empty_list_is_fine(tmp_path: Path, name: str, content: str) -> None:
    assert tracker(tmp_path, content, name).load() == []


def test_duplicates_are_kept_for_planning(tmp_path: Path) -> None:
    assert [task.id for task in tracker(tmp_path, '[{"id": 1}, {"id": "1"}]').load()] == ["1", "1"]


def test_strange_ids(tmp_path: Path) -> None:
    ids = ["a/b c:d", "..", "-x", "y" * 200, "A", "a", "größe", "\u0001"]
    file = tracker(tmp_path, json.dumps([{"id": one} for one in ids]))
    for one in ids:
        file.write(one, Progress.DONE, NOTE)
    assert {task.id: task.progress for task in file.load()} == dict.fromkeys(ids, Progress.DONE)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.json", '"text"', "t.json is text, not a list of tasks"),
        ("t.json", '{"items": []}', "t.json has no list of tasks"),
        ("t.json", '{"tasks": {"a": 1}}', '"tasks" in t.json is an object, not a list'),
        ("t.json", "[{]", "enclosed in double quotes (line 1, column 3)"),
        ("t.json", '{"id": 1}\n{"id": 2}', "t.json is not valid JSON: Extra data (line 2, column 1)"),
        ("t.json", '[{"id": 1},\n 5]', "t.json, entry 2 is a number, not an object"),
        ("t.jsonl", '{"id": 1}\n\n{"id": }\n', "t.jsonl is not valid JSON: Expecting value (line 3, column 8)"),
        ("t.jsonl", '{"id": 1}\n\n{"title": "x"}', "t.jsonl, line 3 has no id"),
        ("t.yaml", "a: [1", "t.yaml is not valid YAML: expected ',' or ']'"),
        ("t.yaml", "- id: a\n  id: b\n", 't.yaml is not valid YAML: found duplicate key "id"'),
        ("t.yaml", "just words", "t.yaml is text, not a list of tasks"),
        ("t.yaml", "- id: !!python/object:os.system a\n", "could not determine a constructor"),
        ("t.yaml", "- id: 1.10\n", "t.yaml, entry 1: id 1.1 is a number with a point"),
        ("t.yaml", "[" * 5000, "t.yaml is nested too deeply"),
        ("t.yaml", "--- 1\n--- 2\n", "t.yaml is not valid YAML"),
        ("t.yaml", "a: \x07", "t.yaml is not valid YAML"),
    ],
)  # fmt: skip
def test_refused_with_the_place(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        tracker(tmp_path, content, name).load()
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_hint_for_json_lines(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        tracker(tmp_path, "{}\n{}").load()
    assert ".jsonl" in caught.value.hint


def test_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"tasks\.toml has an ending that maestro does not know"):
        tracker(tmp_path, "", "tasks.toml")


def test_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(BadInput, match="not a regular file"):
        TaskFile(tmp_path, tmp_path / "pipe.json").load()


def test_what_the_file_calls_done_stays_done(tmp_path: Path) -> None:
    file = tracker(tmp_path, '[{"id": "a", "status": "done"}, {"id": "b", "status": "blocked"}]')
    file.claim("a", NOTE)
    file.write("b", Progress.OPEN, NOTE)
    assert [task.progress for task in file.load()] == [Progress.DONE, Progress.OPEN]


def test_progress_beside_the_runs(tmp_path: Path) -> None:
    content = '[{"id": "a"}]'
    file = tracker(tmp_path, content)
    file.write("a", Progress.OPEN, NOTE)
    [path] = file.own_files()
    assert Path(path).parent == Layout(tmp_path).progress
    kept = json.loads(Path(path).read_bytes())
    assert kept["source"] == file.identity == "taskfile:tasks.json"
    entry = kept["tasks"]["a"]
    assert entry.pop("at").endswith("Z")
    assert entry == {"progress": "open", **NOTE.model_dump(exclude_defaults=True)}
    assert (tmp_path / "tasks.json").read_text() == content


def test_progress_is_of_one_file(tmp_path: Path) -> None:
    tracker(tmp_path, '[{"id": "a"}]', "one.json").write("a", Progress.DONE, NOTE)
    other = tracker(tmp_path, '[{"id": "a"}]', "two.json")
    assert other.load()[0].progress is Progress.OPEN


def test_progress_survives_a_moved_repository(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    tracker(tmp_path / "old", '[{"id": "a"}]').write("a", Progress.DONE, NOTE)
    (tmp_path / "old").rename(tmp_path / "new")
    moved = TaskFile(tmp_path / "new", tmp_path / "new" / "tasks.json")
    assert moved.load()[0].progress is Progress.DONE


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"format": 1, "source": "x", "tasks": {"a": {"progress": "great"}}}', b"\0"]
)
def test_damaged_progress_is_an_error(tmp_path: Path, damage: bytes) -> None:
    file = tracker(tmp_path, '[{"id": "a"}]')
    file.claim("a", NOTE)
    path = Path(file.own_files()[0])
    path.write_bytes(damage)
    with pytest.raises(TrackerError, match=r"progress file .* cannot be read"):
        file.load()
    with pytest.raises(TrackerError):
        file.write("a", Progress.DONE, NOTE)
    assert path.read_bytes() == damage


YAML = """\
# My backlog    (kept)
version: 1.10

tasks:
  -   id: a   # the first
      title: "Größe: 'x'"
      status: "open"     # why open

  - {id: b, status: todo, n: 0x10}   # flow
  # between
  - id: c
    description: >-
        folded
        text
  - id: d
    status:
    z: 1
  - {id: e}
  - status: |
      open
    id: f
"""


def test_yaml_keeps_its_comments(tmp_path: Path) -> None:
    file = tracker(tmp_path, YAML, "tasks.yaml", write_back=True)
    for task in "abcdef":
        file.write(task, Progress.DONE, NOTE)
    expected = (
        YAML.replace('"open"', "done")
        .replace("status: todo", "status: done")
        .replace("  - id: c\n", "  - id: c\n    status: done\n")
        .replace("status:\n", "status: done\n")
        .replace("{id: e}", "{id: e, status: done}")
        .replace("status: |\n      open\n", "status: done\n")
    )
    assert (tmp_path / "tasks.yaml").read_text() == expected
    assert {task.progress for task in file.load()} == {Progress.DONE}


def test_yaml_with_dos_line_ends_and_no_last_newline(tmp_path: Path) -> None:
    file = tracker(tmp_path, "- id: a\r\n  x: 1\r\n- id: b", "tasks.yaml", write_back=True)
    file.write("a", Progress.DONE, NOTE)
    file.write("b", Progress.DONE, NOTE)
    assert (tmp_path / "tasks.yaml").read_bytes() == b"- id: a\r\n  status: done\r\n  x: 1\r\n- id: b\r\n  status: done"


@pytest.mark.parametrize(
    "content", ["- &x {id: a, status: &s todo}\n- {id: b, status: *s}\n", "- &x {id: b}\n- {<<: *x}\n"]
)
def test_yaml_that_cannot_be_changed_alone_is_left(tmp_path: Path, content: str) -> None:
    file = tracker(tmp_path, content, "tasks.yaml", write_back=True)
    with pytest.raises(TrackerError):
        file.write("b", Progress.DONE, NOTE)
    assert (tmp_path / "tasks.yaml").read_text() == content


def test_write_back_speaks_the_words_of_the_file(tmp_path: Path) -> None:
    content = '[{"id": "a", "status": "completed"}, {"id": "b", "status": "todo"}]'
    file = tracker(tmp_path, content, write_back=True)
    file.write("b", Progress.DONE, NOTE)
    assert (tmp_path / "tasks.json").read_text() == content.replace("todo", "completed")
    file.write("b", Progress.OPEN, NOTE)
    assert '"b", "status": "pending"' in (tmp_path / "tasks.json").read_text()


def test_write_back_takes_over_what_was_kept_beside(tmp_path: Path) -> None:
    beside = tracker(tmp_path, '[{"id": "a"}]')
    beside.write("a", Progress.DONE, NOTE)
    file = TaskFile(tmp_path, tmp_path / "tasks.json", write_back=True)
    assert file.load()[0].progress is Progress.DONE
    file.write("a", Progress.OPEN, NOTE)
    assert file.load()[0].progress is Progress.OPEN


def test_write_back_to_one_of_two_equal_ids_is_refused(tmp_path: Path) -> None:
    file = tracker(tmp_path, '[{"id": 1}, {"id": "1"}]', write_back=True)
    with pytest.raises(TrackerError, match="2 tasks '1'"):
        file.write("1", Progress.DONE, NOTE)


def test_json_lines_change_one_line(tmp_path: Path) -> None:
    content = '{"id":"a"}\r\n\r\n{"id": "b", "n": 1e3}\r\n'
    file = tracker(tmp_path, content, "tasks.jsonl", write_back=True)
    file.write("b", Progress.DONE, NOTE)
    expected = content.replace("1e3}", '1e3, "status": "done"}')
    assert (tmp_path / "tasks.jsonl").read_bytes() == expected.encode()
