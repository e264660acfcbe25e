"""What may start now, while a run goes on."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.plan import Plan, PlanOptions
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.planning.schedule import Dispatcher


def task(name: str, *needs: str, **fields: Any) -> Task:
    return Task(id=name, dependencies=needs, **fields)


def plan(*tasks: Task, **options: Any) -> Plan:
    return make_plan(tasks, PlanOptions(**options))


def dispatcher(*tasks: Task, **options: Any) -> Dispatcher:
    return Dispatcher(plan(*tasks, **options), keep_going=options.get("keep_going", False))


def run(one: Dispatcher, *tasks: str) -> None:
    for name in tasks:
        one.start(name)
        one.landed(name)


def test_a_task_is_ready_when_all_it_needs_has_landed() -> None:
    flow = dispatcher(task("a"), task("b"), task("c", "a", "b"))
    assert flow.ready() == ["a", "b"]
    flow.start("a")
    assert flow.ready() == ["b"]
    flow.landed("a")
    assert flow.ready() == ["b"]
    flow.start("b")
    assert flow.ready() == []
    assert (flow.waiting(), flow.active(), flow.is_over) == (1, {"b"}, False)
    flow.landed("b")
    assert flow.ready() == ["c"]
    run(flow, "c")
    assert flow.is_over


def test_ready_tasks_come_by_longest_path_then_priority_then_given_order() -> None:
    flow = dispatcher(
        task("late"),
        task("urgent", priority=0),
        task("long"),
        task("tail", "long"),
        task("heavy", estimate_minutes=5),
        task("also-late"),
    )
    assert flow.ready() == ["heavy", "long", "urgent", "late", "also-late"]
    assert flow.ready(2) == ["heavy", "long"]
    assert flow.ready(0) == []
    assert flow.ready() == ["heavy", "long", "urgent", "late", "also-late"]


def test_a_requeued_task_waits_again_and_is_offered_once() -> None:
    flow = dispatcher(task("a"), task("b"), task("c", "a"))
    flow.start("a")
    flow.back("a")
    assert flow.ready() == ["a", "b"]
    assert flow.waiting() == 3
    flow.start("a")
    flow.back("a")
    flow.start("a")
    assert flow.ready() == ["b"]
    flow.landed("a")
    assert flow.ready() == ["b", "c"]


def test_a_failure_blocks_all_that_needs_it_once_and_nothing_else() -> None:
    flow = dispatcher(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e"))
    flow.start("a")
    blocked = flow.failed("a")
    assert {one.task: one.reason for one in blocked} == {
        "b": "depends on 'a', which failed",
        "c": "depends on 'a', which failed",
        "d": "depends on 'b', which is blocked because 'a' failed",
    }
    assert len(blocked) == 3
    assert flow.ready() == ["e"]
    run(flow, "e")
    assert flow.is_over


def test_a_failure_may_be_told_in_other_words_and_of_a_task_that_waits_again() -> None:
    flow = dispatcher(task("a"), task("b", "a"))
    flow.start("a")
    flow.back("a")
    assert [one.reason for one in flow.failed("a", "waits for a person")] == [
        "depends on 'a', which waits for a person"
    ]
    assert flow.is_over


def test_nothing_after_a_stage_starts_before_all_of_it_has_landed() -> None:
    flow = dispatcher(task("a", group="x"), task("b", group="x"), task("c"), task("d"))
    assert flow.ready() == ["a", "b"]
    run(flow, "a")
    assert flow.ready() == ["b"]
    run(flow, "b")
    assert flow.ready() == ["c"]
    run(flow, "c")
    assert flow.ready() == ["d"]


@pytest.mark.parametrize("schedule", ["stages", "levels"])
def test_a_failed_member_blocks_what_stands_after_while_its_siblings_go_on(schedule: str) -> None:
    tasks = [task("a", group="x"), task("b", group="x"), task("c", "b", group="y"), task("d", "a", group="y")]
    flow = dispatcher(*tasks, schedule=schedule)
    flow.start("a")
    flow.start("b")
    assert {one.task: one.reason for one in flow.failed("a")} == {
        "d": "depends on 'a', which failed",
        "c": "stands after 'a', which failed",
    }
    assert flow.active() == {"b"}
    assert flow.failed("b") == []
    assert flow.is_over


def test_with_keep_going_only_what_depends_on_it_is_blocked() -> None:
    flow = dispatcher(task("a", group="x"), task("b", group="x"), task("c", "a"), task("d"), keep_going=True)
    flow.start("a")
    assert [one.task for one in flow.failed("a")] == ["c"]
    assert flow.ready() == ["b"]
    run(flow, "b")
    assert flow.ready() == ["d"]


def test_what_the_plan_blocks_never_starts() -> None:
    flow = dispatcher(task("a", progress=Progress.DEFERRED), task("b", "a"), task("c"))
    assert [one.task for one in flow.initially_blocked()] == ["a", "b"]
    assert flow.waiting() == 1
    run(flow, "c")
    assert flow.is_over


def test_a_shared_file_is_held_until_its_task_is_over() -> None:
    flow = dispatcher(
        task("a", files=("x", "y")), task("b", files=("x",)), task("c", files=("y",)), task("d", files=("z",))
    )
    assert flow.ready() == ["a", "b", "c", "d"]
    flow.start("b")
    assert flow.ready() == ["c", "d"]
    assert flow.may_start("c")
    assert not flow.may_start("a")
    flow.start("c")
    flow.landed("b")
    assert flow.ready() == ["d"]
    flow.back("c")
    assert flow.ready() == ["a", "c", "d"]
    flow.start("a")
    assert flow.failed("a") == []
    assert flow.ready() == ["c", "d"]


def test_those_parked_at_one_file_come_back_in_order_even_where_the_first_must_wait_for_another() -> None:
    uses = {"a": "x", "b": "y", "c": "xy", "d": "x"}
    flow = dispatcher(*(task(name, files=tuple(files)) for name, files in uses.items()))
    flow.start("a")
    flow.start("b")
    assert flow.ready() == []
    flow.landed("a")
    assert flow.ready(1) == ["d"]
    flow.start("d")
    flow.landed("b")
    assert flow.ready() == []
    flow.landed("d")
    assert flow.ready() == ["c"]


def test_a_task_that_never_starts_lets_those_behind_it_through() -> None:
    flow = dispatcher(
        task("r"),
        task("a", "r", files=("x",)),
        *(task(str(one), files=("x",)) for one in range(3)),
        schedule="dataflow",
    )
    flow.start("0")
    assert flow.ready() == ["r"]
    flow.start("r")
    flow.landed("r")
    assert flow.ready() == []
    flow.failed("a")  # parked behind 0
    flow.landed("0")
    flow.failed("1")  # the first behind 0, and what is parked behind it must not be lost
    assert flow.ready() == ["2"]


def test_allowed_overlaps_hold_nobody() -> None:
    flow = dispatcher(task("a", files=("x",)), task("b", files=("x",)), allow_overlap=True)
    flow.start("a")
    assert flow.ready() == ["b"]


def test_what_follows_is_what_only_active_tasks_stand_before() -> None:
    flow = dispatcher(task("a"), task("b"), task("c", "a"), task("d", "a", "b"), task("e", "c"), task("f", "a"))
    assert flow.next_after_active(9) == []
    flow.start("a")
    assert flow.next_after_active(9) == ["c", "f"]
    assert flow.next_after_active(1) == ["c"]
    flow.start("b")
    assert flow.next_after_active(9) == ["c", "d", "f"]
    flow.landed("a")
    assert flow.next_after_active(9) == ["d"]
    flow.failed("b")
    assert flow.next_after_active(9) == []


def test_what_follows_may_stand_in_the_next_stage_once_all_of_this_one_is_active() -> None:
    flow = dispatcher(
        task("a", group="x"), task("b", group="x"), task("c", group="y"), task("d", "a", group="y"), task("e")
    )
    flow.start("a")
    assert flow.next_after_active(9) == []
    flow.start("b")
    assert flow.next_after_active(9) == ["c", "d"]
    flow.landed("a")
    assert flow.next_after_active(9) == ["c", "d"]
    flow.landed("b")
    run(flow, "c", "d")
    flow.start("e")
    assert flow.next_after_active(9) == []


def test_moves_that_make_no_sense_are_refused() -> None:
    flow = dispatcher(task("a", files=("x",)), task("b", "a"), task("c", files=("x",)))
    for refused in (
        lambda: flow.start("b"),
        lambda: flow.start("ghost"),
        lambda: flow.back("a"),
        lambda: (flow.start("a"), flow.start("a")),
        lambda: flow.start("c"),
        lambda: (flow.landed("a"), flow.landed("a")),
    ):
        with pytest.raises(ValueError, match="task '"):
            refused()


def test_a_plan_with_problems_cannot_be_run_and_an_empty_one_is_over() -> None:
    with pytest.raises(ValueError, match="problems"):
        dispatcher(task("a", "a"))
    assert dispatcher().is_over


def test_one_file_shared_by_thousands_is_walked_without_looking_at_all_of_them_again() -> None:
    count = 5_000
    flow = dispatcher(*(task(str(one), files=("x",)) for one in range(count)))
    for number in range(count):
        assert flow.ready(1) == [str(number)]
        flow.start(str(number))
        assert flow.ready(1) == []
        flow.landed(str(number))
    assert flow.is_over


def test_what_an_earlier_coordinator_started_is_taken_up_whatever_has_failed_before_it() -> None:
    """By the time of its start the way was open: with keep_going, or because a person said so once."""
    tasks = (task("bad"), task("ok"), task("later", "ok"), task("last", "later"))
    for keep_going in (True, False):
        flow = Dispatcher(plan(*tasks, schedule="levels"), keep_going=keep_going)
        flow.landed("ok")
        flow.take_up("later")
        assert flow.active() == {"later"}
        blocked = [one.task for one in flow.over("bad")]
        assert blocked == ([] if keep_going else ["last"])
        flow.landed("later")
        assert flow.ready() == (["last"] if keep_going else [])
        assert flow.over("bad") == [], "it is known"
    with pytest.raises(ValueError, match="over without landing"):
        flow.take_up("bad")
