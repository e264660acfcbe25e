"""Which tracker is meant (T-6)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.errors import BadInput
from maestro.trackers.detect import detect, kind_of_file, pick
from maestro.trackers.registry import KINDS, choose, open_tracker

TAGGED = json.dumps({"master": {"tasks": []}})
EPIC = json.dumps({"sprints": []})


def put(folder: Path, *names: str) -> None:
    content = {".json": '[{"id": "a"}]', ".md": "- [ ] a\n", ".yaml": "- id: a\n", ".jsonl": '{"id": "a"}\n'}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content[path.suffix])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".taskmaster/tasks/tasks.json", "taskmaster"),
        ("specs/001-login/tasks.md", "markdown"),
        ("tasks.md", "markdown"),
        ("tasks.json", "taskfile"),
        ("tasks.jsonl", "taskfile"),
        ("tasks.yaml", "taskfile"),
    ],
)
def test_the_only_candidate_is_picked(tmp_path: Path, name: str, kind: str) -> None:
    put(tmp_path, name, "README.md", "docs/tasks.md", "package.json")
    picked = pick(tmp_path)
    assert (picked.kind, picked.source) == (kind, tmp_path / name)
    assert name in picked.why
    assert open_tracker("auto", repository=tmp_path).kind == kind
    assert choose("auto", repository=tmp_path, source=None).why == picked.why


def test_two_candidates_ask_for_the_flag(tmp_path: Path) -> None:
    put(tmp_path, ".taskmaster/tasks/tasks.json", "tasks.yaml", "specs/1/tasks.md")
    with pytest.raises(BadInput) as caught:
        open_tracker("auto", repository=tmp_path)
    assert caught.value.message == (
        "there are several backlogs here: .taskmaster/tasks/tasks.json (taskmaster), "
        "specs/1/tasks.md (markdown), tasks.yaml (taskfile)"
    )
    assert caught.value.hint == (
        "choose one with --tracker taskmaster or --tasks-file specs/1/tasks.md or --tasks-file tasks.yaml"
    )


def test_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no backlog was found") as caught:
        open_tracker("auto", repository=tmp_path)
    assert "--tasks-file" in caught.value.hint


def test_finished_check_lists_give_way_to_open_ones(tmp_path: Path) -> None:
    put(tmp_path, "specs/1/tasks.md", "specs/2/tasks.md", "specs/3/tasks.md")
    (tmp_path / "specs/1/tasks.md").write_text("- [x] a\n")
    (tmp_path / "specs/3/tasks.md").write_text("no boxes\n")
    assert pick(tmp_path).source == tmp_path / "specs/2/tasks.md"
    (tmp_path / "specs/2/tasks.md").write_text("- [x] a\n")
    assert [one.source.parent.name for one in detect(tmp_path)] == ["1", "2"]


def test_beads_is_found_and_never_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".beads").mkdir()
    assert [one.kind for one in detect(tmp_path)] == ["beads"]
    put(tmp_path, "tasks.json")
    with pytest.raises(BadInput, match=r"\.beads \(beads\), tasks\.json"):
        open_tracker("auto", repository=tmp_path)


def test_a_kind_this_version_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no tracker 'jira'") as caught:
        open_tracker("jira", repository=tmp_path)
    assert all(kind in caught.value.hint for kind in KINDS)


def test_a_damaged_file_is_a_candidate(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text("{")
    assert pick(tmp_path).kind == "taskfile"
    put(tmp_path, "tasks.yaml")
    with pytest.raises(BadInput, match="several backlogs"):
        pick(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("x.md", "", "markdown"),
        ("x.jsonl", "", "taskfile"),
        ("x.json", "[]", "taskfile"),
        ("x.json", TAGGED, "taskmaster"),
        ("x.json", EPIC, "epic"),
        ("x.json", '{"epic": {"phases": []}}', "epic"),
        ("x.json", '{"tasks": [], "phases": []}', "taskfile"),
        ("x.yml", "sprints: []", "epic"),
        ("x.yml", "tasks: []", "taskfile"),
        (".taskmaster/tasks/tasks.json", "[]", "taskmaster"),
    ],
)
def test_kind_of_a_given_file(tmp_path: Path, name: str, content: str, kind: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    assert kind_of_file(path, tmp_path) == kind
    assert choose("auto", repository=tmp_path, source=path).kind == kind


@pytest.mark.parametrize(("name", "said"), [("x.txt", "ending"), ("x", "ending"), ("x.json", "does not exist")])
def test_a_given_file_that_is_nothing(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        open_tracker("auto", repository=tmp_path, source=tmp_path / name)


def test_a_given_directory(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a directory"):
        open_tracker("auto", repository=tmp_path, source=tmp_path)


def test_a_kind_finds_its_own_file(tmp_path: Path) -> None:
    put(tmp_path, "tasks.json", "tasks.md")
    assert open_tracker("markdown", repository=tmp_path).identity == "markdown:tasks.md"
    assert open_tracker("taskfile", repository=tmp_path).identity == "taskfile:tasks.json"
    with pytest.raises(BadInput, match="no backlog for epic"):
        open_tracker("epic", repository=tmp_path)


def test_write_back_where_it_has_no_meaning(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(EPIC)
    with pytest.raises(BadInput, match="--write-back does not work with epic"):
        open_tracker("epic", repository=tmp_path, source=tmp_path / "e.json", write_back=True)


def test_todos_need_their_text(tmp_path: Path) -> None:
    assert open_tracker("todos", repository=tmp_path, text="[]").load() == []
    with pytest.raises(BadInput, match="no list of todos"):
        open_tracker("todos", repository=tmp_path)
