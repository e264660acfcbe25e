"""Issues as tasks: what holds back, in which order, whose they are. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from maestro.errors import BadInput, TrackerError
from maestro.model.plan import PlanOptions
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.trackers.beads.answers import lines_in, objects_in
from maestro.trackers.beads.epics import finished_above
from maestro.trackers.beads.hierarchy import Hierarchy
from maestro.trackers.beads.issues import PARENT, Issue, issues_in
from maestro.trackers.beads.standing import Standing, standing_of
from maestro.trackers.beads.tasks import selected, tasks_of
from tests.unit.trackers.test_beads_answers import ERAS, recorded

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def issue(name: str, *links: tuple[str, str], parent: str | None = None, **fields: Any) -> Issue:
    links = (*links, *([(parent, PARENT)] if parent else []))
    return Issue(**{"id": name, "title": name, "status": "open", "links": links, **fields})


def epic(name: str, *links: tuple[str, str], **fields: Any) -> Issue:
    return issue(name, *links, type="epic", **fields)


def tasks(*issues: Issue, dead: str = "") -> dict[str, Task]:
    found = tasks_of(Hierarchy(issues), is_dead=lambda run: run == dead, now=NOW)
    return {task.id: task for task in found}


def needs(*issues: Issue) -> dict[str, tuple[str, ...]]:
    return {name: task.dependencies for name, task in tasks(*issues).items() if task.dependencies}


@pytest.mark.parametrize("era", ERAS)
def test_a_recorded_database(era: str) -> None:
    issues = issues_in(lines_in(recorded(era, "export.jsonl"), "x"), "x")
    found = tasks_of(Hierarchy(issues), is_dead=lambda _: False, now=NOW)
    by_title = {task.title: task for task in found}
    assert "User auth" not in by_title  # an epic with children
    assert "Dir B" not in by_title  # deleted
    children = [task for task in found if "part_of" in task.context]
    assert [task.id[-2:] for task in children] == [".1", ".2", ".3", ".4", ".5", ".6"]
    assert [len(task.dependencies) for task in children] == [0, 0, 2, 1, 2, 0]
    assert children[0].progress is Progress.DONE
    assert children[1].set_aside == "is assigned to alice"
    assert by_title["Session cookie not cleared"].dependencies == ()
    assert not make_plan(found, PlanOptions()).problems


@pytest.mark.parametrize("name", ["show.json", "show_many.json"])
@pytest.mark.parametrize("era", ERAS)
def test_dependencies_given_as_whole_issues(era: str, name: str) -> None:
    last = issues_in(objects_in(recorded(era, name), "x"), "x")[-1]
    assert sorted(kind for _, kind in last.links) == ["blocks", "blocks", PARENT]
    assert last.parent == last.id.rpartition(".")[0]


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        *((kind, True) for kind in ("blocks", "conditional-blocks", "waits-for")),
        *((kind, False) for kind in ("related", "relates-to", "discovered-from", "duplicates", "tracks", "widget")),
    ],
)
def test_kinds_of_dependencies(kind: str, holds: bool) -> None:
    assert needs(issue("d-a"), issue("d-b", ("d-a", kind))) == ({"d-b": ("d-a",)} if holds else {})


def test_a_parent_holds_nothing_back_and_what_blocks_it_does() -> None:
    top, sub = epic("d-top", ("d-x", "blocks")), epic("d-sub", parent="d-top")
    assert needs(issue("d-x"), top, sub, issue("d-c", parent="d-sub")) == {"d-c": ("d-x",)}


def test_waiting_for_an_epic_is_waiting_for_what_is_below_it() -> None:
    below = (epic("d-e"), epic("d-f", parent="d-e"), issue("d-1", parent="d-e"), issue("d-2", parent="d-f"))
    assert needs(*below, issue("d-w", ("d-e", "blocks"))) == {"d-w": ("d-1", "d-2")}
    closed = (epic("d-e", status="closed"), issue("d-1", parent="d-e"))
    assert needs(*closed, issue("d-w", ("d-e", "blocks"))) == {"d-w": ("d-e",)}  # closed is closed
    assert tasks(*closed, issue("d-w", ("d-e", "blocks")))["d-e"].progress is Progress.DONE


def test_an_epic_that_waits_for_its_own_child_makes_no_circle() -> None:
    assert needs(epic("d-e", ("d-1", "blocks")), issue("d-1", parent="d-e"), issue("d-2", parent="d-e")) == {}


def test_circles_are_kept_for_planning_to_refuse() -> None:
    assert needs(issue("d-a", ("d-b", "blocks")), issue("d-b", ("d-a", "blocks"))) == {"d-a": ("d-b",), "d-b": ("d-a",)}
    around = Hierarchy([epic("d-a", parent="d-b"), epic("d-b", parent="d-a")])
    assert list(around.ancestors("d-a")) == ["d-b"]
    assert around.below("d-a") == ["d-b"]


def test_an_unknown_blocker_is_kept_and_one_outside_is_said() -> None:
    assert needs(issue("d-a", ("d-none", "blocks"))) == {"d-a": ("d-none",)}
    assert tasks(issue("d-a", ("external:x:y", "blocks")))["d-a"].set_aside == "waits for external:x:y"


def test_machinery_is_no_task_unless_something_waits_for_it() -> None:
    machinery = [issue(f"d-{kind}", type=kind) for kind in ("message", "gate", "molecule")]
    others = [issue("d-slot", labels=("gt:slot",)), issue("d-form", is_template=True)]
    found = tasks(*machinery, *others, issue("d-a", ("d-gate", "blocks")))
    assert set(found) == {"d-a", "d-gate"}
    assert not found["d-gate"].is_runnable


def test_order_is_that_of_creation_and_of_numbers() -> None:
    numbered = [issue(f"d-e.{number}", parent="d-e", created_at="2026-01-02") for number in (10, 2, 1)]
    others = [issue("d-z", created_at="2026-01-01"), issue("d-a", created_at="2026-01-03")]
    assert list(tasks(*others, epic("d-e", created_at="2026-01-02"), *numbered)) == [
        "d-z", "d-e.1", "d-e.2", "d-e.10", "d-a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ("open", Progress.OPEN), ("in_progress", Progress.IN_PROGRESS), ("blocked", Progress.BLOCKED),
        ("deferred", Progress.DEFERRED), ("closed", Progress.DONE), ("pinned", Progress.DONE),
        ("hooked", Progress.IN_PROGRESS), ("in_review", Progress.UNKNOWN),
    ],
)  # fmt: skip
def test_status(status: str, progress: Progress) -> None:
    task = tasks(issue("d-a", status=status))["d-a"]
    assert task.progress is progress
    assert task.is_runnable == (status == "open")
    if progress is Progress.UNKNOWN:
        assert task.context["status"] == status  # for the sentence in the plan


def test_deferred_until_a_day() -> None:
    assert tasks(issue("d-a", defer_until="2030-01-01T00:00:00Z"))["d-a"].progress is Progress.DEFERRED
    assert tasks(issue("d-a", defer_until="2026-01-01T00:00:00Z"))["d-a"].progress is Progress.OPEN
    assert tasks(issue("d-a", defer_until="soon"))["d-a"].progress is Progress.OPEN


ALIVE, DEAD, PERSON = "maestro/alive", "maestro/dead", "alice"


@pytest.mark.parametrize(
    ("status", "assignee", "standing"),
    [
        ("open", "", Standing.FREE), ("open", PERSON, Standing.HELD), ("open", ALIVE, Standing.HELD),
        ("open", DEAD, Standing.LEFT), ("open", "maestro/me", Standing.LEFT),
        ("in_progress", "", Standing.IN_WORK), ("in_progress", PERSON, Standing.HELD),
        ("in_progress", ALIVE, Standing.HELD), ("in_progress", DEAD, Standing.LEFT),
        ("in_progress", "maestro/me", Standing.OURS), ("hooked", "", Standing.IN_WORK),
        ("blocked", "", Standing.ASIDE), ("blocked", DEAD, Standing.HELD), ("odd", "", Standing.ASIDE),
        ("closed", "maestro/me", Standing.CLOSED), ("closed", "", Standing.CLOSED),
    ],
)  # fmt: skip
def test_whose_it_is(status: str, assignee: str, standing: Standing) -> None:
    one = issue("d-a", status=status, assignee=assignee)
    assert standing_of(one, "maestro/me", is_dead=lambda run: run == "dead") is standing


def test_what_somebody_holds_is_blocked_in_the_plan_with_the_name() -> None:
    found = tasks(
        issue("d-a", status="in_progress", assignee=PERSON),
        issue("d-b", ("d-a", "blocks")),
        issue("d-c", status="in_progress", assignee=DEAD),
        dead="dead",
    )
    plan = make_plan(list(found.values()), PlanOptions())
    assert {one.task: one.reason for one in plan.blocked} == {
        "d-a": "it is assigned to alice",
        "d-b": "depends on 'd-a', which is assigned to alice",
    }


def test_selection() -> None:
    hierarchy = Hierarchy(
        [epic("d-e"), epic("d-f", parent="d-e"), issue("d-1", parent="d-f", labels=("x", "y")),
         issue("d-2", parent="d-e", labels=("x",)), issue("d-3", labels=("x",)),
         issue("d-g", type="gate", parent="d-e")]
    )  # fmt: skip
    assert selected(hierarchy, "d-e", []) == {"d-1", "d-2"}
    assert selected(hierarchy, "d-e", ["x", "y"]) == {"d-1"}
    assert selected(hierarchy, None, ["x"]) == {"d-1", "d-2", "d-3"}
    assert selected(hierarchy, "d-3", []) == {"d-3"}
    with pytest.raises(BadInput, match="there is no issue 'd-'"):
        selected(hierarchy, "d-", [])


def test_epics_are_finished_from_the_lowest_up() -> None:
    def issues(other: str) -> Hierarchy:
        inner = (epic("d-f", parent="d-e"), issue("d-1", parent="d-f", status="closed"))
        return Hierarchy([epic("d-e"), *inner, issue("d-2", parent="d-e", status=other)])

    assert finished_above(issues("open"), ["d-1"]) == ["d-f"]
    assert finished_above(issues("closed"), ["d-1"]) == ["d-f", "d-e"]
    assert finished_above(issues("closed"), ["d-2"]) == []  # d-f is open, and it is not above d-2


@pytest.mark.parametrize(
    "raw",
    [{"id": "d-a"}, {"id": "", "status": "open"}, {"status": "open"}, {"id": "d-a", "status": "open", "priority": "x"},
     {"id": "d-a", "status": "open", "dependencies": [{}]}, {"id": "d-a", "status": "open", "labels": "x"}],
)  # fmt: skip
def test_an_issue_that_cannot_be_read_is_an_error(raw: dict[str, Any]) -> None:
    with pytest.raises(TrackerError, match=r"`bd export`: issue .* cannot be read"):
        issues_in([{"id": "d-1", "status": "open"}, raw], "`bd export`")


def test_memories_are_no_issues() -> None:
    assert issues_in([{"_type": "memory", "key": "x"}], "x") == []
