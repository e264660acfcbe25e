"""Group markers (P-1, P-2)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.errors import BadInput
from maestro.model.task import Task
from maestro.planning.markers import SEQUENTIAL, MarkerConflict, detect_groups, group_of


@pytest.mark.parametrize("name", ["auth-flow", "a", "1.2", "émile_7", "X/Y", "[x", "Group-A"])
@pytest.mark.parametrize("place", ["title", "description", "label", "parallel label", "group", "marker as group"])
def test_a_marker_is_found_wherever_it_may_stand_with_its_whole_name(name: str, place: str) -> None:
    fields: dict[str, Any] = {
        "title": {"title": f"Add login [P:Group-{name}] now"},
        "description": {"description": f"First line\nsecond [P:Group-{name}]"},
        "label": {"labels": ("urgent", f"[P:Group-{name}]")},
        "parallel label": {"labels": ("urgent", f"parallel:Group-{name}")},
        "group": {"group": name},
        "marker as group": {"group": f"[P:Group-{name}]"},
    }[place]
    assert group_of(Task(id="t", **fields)) == name


@pytest.mark.parametrize("text", ["", "[P:Group-]", "[P:Group-a b]", "[P:group-a]", "P:Group-a", "[P:Group-a"])
def test_what_is_no_marker_is_none(text: str) -> None:
    assert group_of(Task(id="t", title=text)) is None


def test_a_label_must_be_the_marker_alone() -> None:
    assert group_of(Task(id="t", labels=("not-parallel:Group-a", "parallel:Group-a b"))) is None


def test_the_same_marker_twice_is_no_conflict() -> None:
    task = Task(id="t", title="[P:Group-a]", description="[P:Group-a]", labels=("parallel:Group-a",), group="a")
    assert group_of(task) == "a"


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "[P:Group-a] [P:Group-b]"},  # only the first marker was looked at once
        {"title": "[P:Group-a]", "description": "[P:Group-b]"},
        {"description": "[P:Group-a]", "labels": ("parallel:Group-b",)},
        {"group": "a", "title": "[P:Group-b]"},
    ],
)
def test_two_markers_on_one_task_are_an_error_that_names_it(fields: dict[str, Any]) -> None:
    with pytest.raises(MarkerConflict, match="'login'") as caught:
        group_of(Task(id="login", **fields))
    assert caught.value.task == "login"
    assert set(caught.value.groups) == {"a", "b"}
    assert isinstance(caught.value, BadInput)
    assert isinstance(caught.value, ValueError)


def test_detection_gives_the_same_objects_back_in_order() -> None:
    tasks: list[Any] = [
        {"id": 1, "title": "alone", "description": None},
        {"id": 2, "title": "x [P:Group-b]"},
        Task(id="3", description="y [P:Group-a]"),
        {"id": "4", "labels": ["parallel:Group-b"]},
        {"title": "no id", "labels": "red, blue"},
        {"group": "a", "labels": 7},
    ]
    groups = detect_groups(tasks)
    assert list(groups) == [SEQUENTIAL, "b", "a"]
    assert {name: [tasks.index(one) for one in members] for name, members in groups.items()} == {
        SEQUENTIAL: [0, 4],
        "b": [1, 3],
        "a": [2, 5],
    }
    assert all(any(member is task for task in tasks) for members in groups.values() for member in members)


def test_detection_of_nothing() -> None:
    assert detect_groups([]) == {}


def test_detection_refuses_conflicts_by_name() -> None:
    with pytest.raises(BadInput, match="'42'"):
        detect_groups([{"id": 42, "title": "[P:Group-a] [P:Group-b]"}])
    with pytest.raises(BadInput, match="'number 2'"):
        detect_groups([{"id": 1}, {"labels": ["[P:Group-a]", "[P:Group-b]"]}])


@pytest.mark.parametrize(
    "task",
    [{"id": "t", "group": SEQUENTIAL}, {"id": "t", "title": "[P:Group-_sequential]"}, Task(id="t", group=SEQUENTIAL)],
)
def test_detection_refuses_the_reserved_group(task: Any) -> None:
    with pytest.raises(BadInput, match=r"'t'.*'_sequential'"):
        detect_groups([task])
