"""Markdown lists: spec-kit's `tasks.md` and plain check lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note
from maestro.trackers.checklist import items_of
from maestro.trackers.markdown import Markdown

NOTE = Note(run_id="run-1", reason="why")


def tracker(folder: Path, text: str) -> Markdown:
    (folder / "tasks.md").write_bytes(text.encode())
    return Markdown(folder, folder / "tasks.md")


def load(folder: Path, text: str) -> dict[str, Task]:
    tasks = tracker(folder, text).load()
    assert len({task.id for task in tasks}) == len(tasks)
    return {task.id: task for task in tasks}


SPEC_KIT = """\
# Tasks: Login

**Input**: design documents

## Format: `[ID] [P?] [Story] Description`

<!--
- [ ] T900 a sample that is no task
-->

## Phase 1: Setup (Shared)

- [x] T001 Create the project structure
- [ ] T002 [P] Configure linting in pyproject.toml
- [ ] T003 [P] Add a README

## Phase 2: User Story 1 - Sign up (Priority: P1)

**Goal**: people sign up

### Tests

- [ ] T010 [P] [US1] Contract test in tests/contract/test_signup.py
- [ ] T011 [P] [US1] Integration test in tests/integration/test_signup.py

### Implementation

- [ ] T012 [P] [US1] Create User model in src/models/user.py
- [ ] T013 [US1] Implement the service in src/services/signup.py (depends on T012, T001)
- [ ] T014 [P] [US1] Endpoint in `src/api/signup.py` and src/api/__init__.py.

```
- [ ] T901 in a fence
```

## Phase 3.1: Polish

- [ ] T020 [P] Docs
"""


def test_spec_kit(tmp_path: Path) -> None:
    tasks = load(tmp_path, SPEC_KIT)
    assert list(tasks) == ["T001", "T002", "T003", "T010", "T011", "T012", "T013", "T014", "T020"]
    assert tasks["T001"].progress is Progress.DONE
    assert tasks["T010"].title == "Contract test in tests/contract/test_signup.py"
    assert tasks["T010"].labels == ("US1",)
    assert tasks["T010"].context == {
        "headings": ["Tasks: Login", "Phase 2: User Story 1 - Sign up (Priority: P1)", "Tests"]
    }
    assert tasks["T013"].dependencies == ("T012", "T001")
    assert tasks["T013"].title == "Implement the service in src/services/signup.py"


def test_neighbouring_parallel_lines_are_a_group(tmp_path: Path) -> None:
    groups = {task.id: task.group for task in load(tmp_path, SPEC_KIT).values()}
    assert groups == {
        "T001": None,
        "T002": "phase-1-1",
        "T003": "phase-1-1",
        "T010": "phase-2-1",
        "T011": "phase-2-1",
        "T012": "phase-2-2",  # another heading
        "T013": None,
        "T014": "phase-2-3",  # T013 stands between
        "T020": "phase-3.1-1",
    }


def test_files_behind_in(tmp_path: Path) -> None:
    tasks = load(tmp_path, SPEC_KIT)
    assert tasks["T002"].files == ("pyproject.toml",)
    assert tasks["T003"].files == ()
    assert tasks["T014"].files == ("src/api/signup.py", "src/api/__init__.py")


def test_phases_without_any_mark_run_in_order(tmp_path: Path) -> None:
    text = "## Phase 1: A\n- [ ] T001 a\n- [ ] T002 b\n## Phase 2: B\n- [ ] T003 c\n"
    assert {task.id: task.dependencies for task in load(tmp_path, text).values()} == {
        "T001": (),
        "T002": ("T001",),
        "T003": ("T002",),
    }
    for marked in ("- [ ] T004 [P] d", "- [ ] T004 d [P:Group-x]", "- [ ] T004 d (depends on T001)"):
        assert load(tmp_path, text + marked)["T002"].dependencies == ()


def test_group_markers_stay_for_planning(tmp_path: Path) -> None:
    task = load(tmp_path, "- [ ] T001 [P] [P:Group-auth-flow] Log in\n")["T001"]
    assert task.title == "[P:Group-auth-flow] Log in"
    assert task.group is None


@pytest.mark.parametrize(
    ("line", "task_id", "title"),
    [
        ("- [ ] T001 do it", "T001", "do it"),
        ("* [ ] ABC-12: do it", "ABC-12", "do it"),
        ("+ [X] **T7** do it", "T7", "do it"),
        ("- [ ] **T7:** do it", "T7", "do it"),
        ("1. [ ] `T7` - do it", "T7", "do it"),
        ("2) [ ] 1.2 do it", "1.2", "do it"),
        ("- [ ] 1.2.3. do it", "1.2.3", "do it"),
        ("- [ ] 3. do it", "3", "do it"),
        ("- [ ] 3 eggs", "3-eggs", "3 eggs"),
        ("- [ ] HTTP2 and SHA256", "http2-and-sha256", "HTTP2 and SHA256"),
        ("- [ ] T001x do it", "t001x-do-it", "T001x do it"),
        ("- [ ] Write `a.py`!", "write-a-py", "Write `a.py`!"),
        ("  - [ ] indented from the start", "indented-from-the-start", "indented from the start"),
        ("- [ ] T001", "t001", "T001"),
    ],
)
def test_ids(tmp_path: Path, line: str, task_id: str, title: str) -> None:
    [task] = load(tmp_path, line).values()
    assert (task.id, task.title) == (task_id, title)


@pytest.mark.parametrize("line", ["- [] x", "- [y] x", "-[ ] x", "[ ] x", "- [ ]x", "    code: - [ ] x", "- \\[ ] x"])
def test_no_items(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadInput, match="has no check boxes"):
        tracker(tmp_path, line + "\n").load()


def test_ids_from_text_stay_when_the_list_changes(tmp_path: Path) -> None:
    before = load(tmp_path, "- [ ] Buy milk\n- [ ] Größe messen\n- [ ] Buy milk\n" + "- [ ] " + "long " * 30)
    after = load(tmp_path, "- [ ] New\n- [x] Buy milk\n- [X] Größe messen\n- [ ] Buy milk\n" + "- [ ] " + "long " * 30)
    assert list(after)[1:] == list(before)
    assert list(before)[::2] == ["buy-milk", "buy-milk-2"]
    assert all(len(one) <= 42 for one in before)


def test_what_is_indented_is_the_description(tmp_path: Path) -> None:
    text = (
        "- [ ] Parent\n  Some text.\n\n  - [ ] nested box\n    - deeper\n  ```\n- [ ] in a fence\n  ```\n"
        "- [ ] Next\nplain text ends it\n  - [ ] so this is one of its own\n"
    )
    tasks = load(tmp_path, text)
    assert list(tasks) == ["parent", "next", "so-this-is-one-of-its-own"]
    assert tasks["next"].description == ""
    assert tasks["parent"].description == (
        "  Some text.\n\n  - [ ] nested box\n    - deeper\n  ```\n- [ ] in a fence\n  ```"
    )


def test_dependencies_need_ids(tmp_path: Path) -> None:
    tasks = load(
        tmp_path,
        "- [ ] T1 a (depends on T2 and buy-milk)\n- [ ] T2 b (Depends on: T3)\n- [ ] T3 c (depends on the weather)\n"
        "- [ ] Buy milk\n",
    )
    assert tasks["T1"].dependencies == ("T2", "buy-milk")
    assert tasks["T2"].dependencies == ("T3",)
    assert tasks["T3"].dependencies == ()
    assert tasks["T3"].title == "c (depends on the weather)"


def test_equal_ids_are_kept_and_not_ticked(tmp_path: Path) -> None:
    file = tracker(tmp_path, "- [ ] T1 a\n- [ ] T1 b\n")
    assert [task.id for task in file.load()] == ["T1", "T1"]
    with pytest.raises(TrackerError, match="2 tasks 'T1'"):
        file.write("T1", Progress.DONE, NOTE)


ODD = (
    "# L\r\n\r\n* [ ]   T1  a \t\r\n  - [ ] inner\r\n\u2028- [ ] T3 not a line\x0b\r\n"
    "```\r\n- [ ] T1 fence\r\n```\r\n- [x] T2 b  \nend"
)


def test_one_box_is_ticked_and_no_other_byte(tmp_path: Path) -> None:
    file = tracker(tmp_path, ODD)
    file.write("T1", Progress.DONE, NOTE)
    assert (tmp_path / "tasks.md").read_bytes() == ODD.replace("* [ ]   T1", "* [x]   T1").encode()
    file.write("T1", Progress.OPEN, NOTE)
    assert (tmp_path / "tasks.md").read_bytes() == ODD.encode()


def test_a_capital_tick_is_left(tmp_path: Path) -> None:
    file = tracker(tmp_path, "- [X] T1 a\n")
    file.write("T1", Progress.DONE, NOTE)
    assert (tmp_path / "tasks.md").read_text() == "- [X] T1 a\n"


def test_a_box_cleared_by_hand_is_open_again(tmp_path: Path) -> None:
    file = tracker(tmp_path, "- [ ] T1 a\n")
    file.write("T1", Progress.DONE, NOTE)
    (tmp_path / "tasks.md").write_text("- [ ] T1 a\n")
    assert file.load()[0].progress is Progress.OPEN


def test_a_box_ticked_by_hand_is_done(tmp_path: Path) -> None:
    file = tracker(tmp_path, "- [ ] T1 a\n")
    file.write("T1", Progress.BLOCKED, NOTE)
    (tmp_path / "tasks.md").write_text("- [x] T1 a\n")
    assert file.load()[0].progress is Progress.DONE


def test_fences_and_comments_hide_items() -> None:
    text = (
        "~~~~\n- [ ] a\n~~~\n- [ ] b\n~~~~\n- [ ] c\n<!-- - [ ] d -->\n- [ ] e <!-- note -->\n"
        "``` not ` a fence\n- [ ] f\n```py\n- [ ] g\n"
    )
    assert [item.text for item in items_of(text)] == ["c", "e <!-- note -->", "f"]
