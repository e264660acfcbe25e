"""Plans: schedules, dependencies, barriers, refusals (P-3 … P-7)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.plan import Plan, PlanOptions, ProblemKind, ScheduleKind
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan


def task(name: str, *needs: str, **fields: Any) -> Task:
    return Task(id=name, dependencies=needs, **fields)


def plan(*tasks: Task, **options: Any) -> Plan:
    return make_plan(tasks, PlanOptions(**options))


def blocked(made: Plan) -> dict[str, str]:
    return {one.task: one.reason for one in made.blocked}


def test_dataflow_is_chosen_where_nothing_is_marked() -> None:
    made = plan(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e"))
    assert made.schedule is ScheduleKind.DATAFLOW
    assert made.stages == ()
    assert made.levels == (("a", "e"), ("b", "c"), ("d",))
    assert made.total_tasks == 5
    assert made.max_parallel == 2
    assert made.theoretical_speedup == pytest.approx(5 / 3)
    assert made.critical_path == ("a", "b", "d")
    assert made.rank == {"a": 3, "b": 2, "c": 2, "d": 1, "e": 1}
    assert made.problems == ()
    assert made.blocked == ()


def test_stages_are_chosen_where_a_task_is_marked() -> None:
    made = plan(task("a"), task("b", group="x"), task("c"), task("d", title="[P:Group-x]"), task("e"))
    assert made.schedule is ScheduleKind.STAGES
    assert made.stages == (("a",), ("b", "d"), ("c",), ("e",))
    assert made.levels == made.stages
    assert made.groups == {"x": ("b", "d")}


def test_a_marker_on_a_finished_task_keeps_the_schedule() -> None:
    made = plan(task("a", progress=Progress.DONE, group="x"), task("b"), task("c"))
    assert made.schedule is ScheduleKind.STAGES
    assert made.levels == (("b",), ("c",))


def test_dependencies_within_a_stage_split_it_into_waves() -> None:
    made = plan(task("a", group="x"), task("b", "a", group="x"), task("c", group="x"))
    assert made.stages == (("a", "b", "c"),)
    assert made.levels == (("a", "c"), ("b",))
    assert made.critical_path == ("a", "b")


def test_a_stage_that_needs_a_later_one_is_moved_behind_it() -> None:
    made = plan(task("a", "d", group="x"), task("b"), task("c", group="x"), task("d"), task("e"))
    assert made.stages == (("b",), ("d",), ("a", "c"), ("e",))


def test_stages_that_wait_for_each_other_are_refused_by_name() -> None:
    made = plan(task("a", group="x"), task("b", "a", group="y"), task("c", "b", group="x"))
    (problem,) = made.problems
    assert problem.kind is ProblemKind.STAGE_ORDER
    assert set(problem.tasks) == {"a", "b", "c"}
    assert "'c' of group 'x' depends on 'b' of group 'y'" in problem.message
    assert plan(*made.tasks.values(), schedule="dataflow").problems == ()


def test_levels_put_a_barrier_after_each_level() -> None:
    made = plan(task("a"), task("b", "a"), task("c"), schedule="levels")
    assert made.stages == made.levels == (("a", "c"), ("b",))


@pytest.mark.parametrize("schedule", list(ScheduleKind))
def test_a_cycle_is_printed_and_nothing_is_run(schedule: ScheduleKind) -> None:
    made = plan(task("a", "b"), task("b", "c"), task("c", "b"), task("free"), schedule=schedule)
    (problem,) = made.problems
    assert problem.kind is ProblemKind.CYCLE
    assert problem.tasks == ("b", "c")
    assert "b → c → b" in problem.message
    assert made.levels == ()


def test_a_dependency_on_an_unknown_task_names_both() -> None:
    (problem,) = plan(task("a", "ghost"), task("b")).problems
    assert problem.kind is ProblemKind.UNKNOWN_DEPENDENCY
    assert problem.tasks == ("a", "ghost")
    assert "'a'" in problem.message
    assert "'ghost'" in problem.message


@pytest.mark.parametrize(
    ("tasks", "kind", "names"),
    [
        ([task("a"), task("a"), task("b")], ProblemKind.DUPLICATE_ID, ("a",)),
        ([task("a", "a")], ProblemKind.SELF_DEPENDENCY, ("a",)),
        ([task("a", title="[P:Group-x][P:Group-y]")], ProblemKind.MARKER_CONFLICT, ("a",)),
        ([task("a", group="_sequential")], ProblemKind.RESERVED_GROUP, ("a",)),
        ([], ProblemKind.EMPTY, ()),
        ([task("a", progress=Progress.DONE)], ProblemKind.EMPTY, ()),
    ],
)
def test_what_makes_a_plan_impossible(tasks: list[Task], kind: ProblemKind, names: tuple[str, ...]) -> None:
    (problem,) = plan(*tasks).problems
    assert (problem.kind, problem.tasks) == (kind, names)
    assert all(repr(name) in problem.message for name in names)


def test_every_problem_is_told_at_once() -> None:
    made = plan(task("a", "a"), task("b", "ghost"), task("b"), task("c", "d"), task("d", "c"))
    assert {problem.kind for problem in made.problems} == {
        ProblemKind.SELF_DEPENDENCY,
        ProblemKind.UNKNOWN_DEPENDENCY,
        ProblemKind.DUPLICATE_ID,
        ProblemKind.CYCLE,
    }


def test_mistakes_in_finished_tasks_make_nothing_impossible() -> None:
    over = {"progress": Progress.DONE}
    made = plan(task("a", "b", **over), task("b", "a", "ghost", **over), task("c", "a"))
    assert made.problems == ()
    assert made.done_before == ("a", "b")
    assert made.levels == (("c",),)
    cancelled = plan(task("a", "c", "ghost", progress=Progress.CANCELLED), task("c", "a"), task("d"))
    assert cancelled.problems == ()
    assert set(blocked(cancelled)) == {"a", "c"}


def test_only_done_satisfies_a_dependency() -> None:
    made = plan(
        task("done", progress=Progress.DONE),
        task("begun", progress=Progress.IN_PROGRESS),
        task("held", progress=Progress.BLOCKED),
        task("later", progress=Progress.DEFERRED),
        task("dropped", progress=Progress.CANCELLED),
        task("odd", progress=Progress.UNKNOWN, context={"status": "wibble"}),
        *(task(f"after-{name}", name) for name in ("done", "begun", "held", "later", "dropped", "odd")),
        task("far", "after-held"),
    )
    assert made.levels == (("begun", "after-done"), ("after-begun",))
    assert made.total_tasks == 12
    assert made.set_aside == ("held", "later", "dropped", "odd")
    assert blocked(made) == {
        "held": "the tracker says blocked",
        "later": "the tracker says deferred",
        "dropped": "the tracker says cancelled",
        "odd": "it has a status ('wibble') that maestro does not know",
        "after-held": "depends on 'held', which the tracker says is blocked",
        "after-later": "depends on 'later', which the tracker says is deferred",
        "after-dropped": "depends on 'dropped', which the tracker says is cancelled",
        "after-odd": "depends on 'odd', which has a status ('wibble') that maestro does not know",
        "far": "depends on 'after-held', which is blocked because of 'held'",
    }


def test_what_an_earlier_run_landed_elsewhere_satisfies_nothing() -> None:
    tasks = [task("a", progress=Progress.DONE), task("b", "a"), task("c", "b"), task("d")]
    made = make_plan(tasks, PlanOptions(), landed_elsewhere={"a": "it is on integration/r1, not in the base"})
    assert blocked(made) == {
        "b": "depends on 'a': it is on integration/r1, not in the base",
        "c": "depends on 'b', which is blocked",
    }
    assert made.done_before == ()
    assert made.levels == (("d",),)


def test_what_was_done_before_outside_the_selection_is_not_counted() -> None:
    tasks = [task("mine", progress=Progress.DONE), task("theirs", progress=Progress.DONE), task("a", "theirs")]
    assert plan(*tasks, selected=frozenset({"mine", "a"})).done_before == ("mine",)
    nothing = plan(*tasks, selected=frozenset())
    assert nothing.done_before == ()
    assert not nothing.is_all_done


def test_a_blocked_member_stays_in_its_group_and_holds_what_stands_after() -> None:
    tasks = [task("a", group="x"), task("b", group="x", progress=Progress.BLOCKED), task("c"), task("d", "a")]
    made = plan(*tasks)
    assert made.groups == {"x": ("a", "b")}
    assert made.levels == (("a",),)
    assert blocked(made)["c"] == "stands after 'b', which is blocked"
    assert set(blocked(made)) == {"b", "c", "d"}
    going = plan(*tasks, keep_going=True)
    assert set(blocked(going)) == {"b"}
    assert going.levels == (("a",), ("c",), ("d",))


@pytest.mark.parametrize("progress", [Progress.DEFERRED, Progress.CANCELLED])
def test_no_barrier_waits_for_what_the_user_took_out(progress: Progress) -> None:
    made = plan(task("a", group="x"), task("b", progress=progress), task("c"))
    assert set(blocked(made)) == {"b"}
    assert made.levels == (("a",), ("c",))


def test_a_chosen_group_runs_alone_and_its_needs_outside_must_be_done() -> None:
    made = plan(
        task("done", progress=Progress.DONE),
        task("open"),
        task("a", "done", group="x"),
        task("b", "open", group="x"),
        task("c", "b", group="x"),
        task("other", "ghost", group="y"),
        group_ids=("x",),
    )
    assert list(made.tasks) == ["a", "b", "c"]
    assert made.levels == (("a",),)
    assert blocked(made) == {
        "b": "depends on 'open', which is not in the chosen groups and is not done",
        "c": "depends on 'b', which is blocked",
    }


def test_a_cycle_that_leaves_the_chosen_group_is_still_a_cycle() -> None:
    made = plan(task("a", "b", group="x"), task("b", "a"), group_ids=("x",))
    assert [problem.kind for problem in made.problems] == [ProblemKind.CYCLE]


def test_an_unknown_group_is_refused_with_those_that_exist() -> None:
    (problem,) = plan(task("a", group="x"), group_ids=("z",)).problems
    assert problem.kind is ProblemKind.UNKNOWN_GROUP
    assert "'z'" in problem.message
    assert "'x'" in problem.message


def test_the_unmarked_tasks_can_be_chosen_as_detection_names_them() -> None:
    made = plan(task("a", group="x"), task("b"), task("c"), group_ids=("_sequential",))
    assert made.levels == (("b",), ("c",))


def test_selected_tasks_run_alone_and_what_is_odd_elsewhere_is_no_matter() -> None:
    made = plan(
        task("done", progress=Progress.DONE),
        task("open"),
        task("a", "done"),
        task("b", "open"),
        task("c", "b"),
        task("other", "ghost", title="[P:Group-x]"),
        task("odd", title="[P:Group-x] [P:Group-y]"),
        selected=frozenset({"a", "b", "c", "done"}),
    )
    assert (list(made.tasks), made.schedule, made.problems) == (["a", "b", "c"], ScheduleKind.DATAFLOW, ())
    assert blocked(made) == {
        "b": "depends on 'open', which is not among the chosen tasks and is not done",
        "c": "depends on 'b', which is blocked",
    }


@pytest.mark.parametrize(
    ("selected", "said"),
    [(frozenset({"a"}), "every task among the chosen is done"), (frozenset({"z"}), "no task of the backlog is among")],
)
def test_nothing_selected_is_nothing_to_do(selected: frozenset[str], said: str) -> None:
    made = plan(task("a", progress=Progress.DONE), task("b"), selected=selected)
    assert [problem.kind for problem in made.problems] == [ProblemKind.EMPTY]
    assert said in made.problems[0].message


def test_predicted_times_follow_estimates_and_history() -> None:
    tasks = [
        task("a", estimate_minutes=10),
        task("b", "a", role="testing"),
        task("c", "a", estimate_minutes=40),
        task("d", estimate_minutes=30),
    ]
    made = make_plan(tasks, PlanOptions(), history_minutes={"testing": 20})
    assert made.predicted_sequential_minutes == 100
    assert made.predicted_parallel_minutes == 50
    assert made.critical_path == ("a", "c")
    assert made.rank == {"a": 50, "b": 20, "c": 40, "d": 30}
    assert plan(task("a"), task("b")).predicted_sequential_minutes is None


def test_predicted_times_know_barriers_and_shared_files() -> None:
    barrier = plan(
        task("a", group="x", estimate_minutes=5),
        task("b", group="x", estimate_minutes=9),
        task("c", estimate_minutes=1),
    )
    assert barrier.predicted_parallel_minutes == 10
    assert barrier.critical_path == ("b", "c")
    shared = plan(task("a", files=("f",), estimate_minutes=5), task("b", files=("f",), estimate_minutes=9))
    assert shared.predicted_parallel_minutes == 14
    assert plan(*shared.tasks.values(), allow_overlap=True).predicted_parallel_minutes == 9


@pytest.mark.parametrize("estimate", [-5.0, float("nan"), float("inf")])
def test_an_estimate_that_is_no_duration_counts_as_none(estimate: float) -> None:
    made = plan(task("a", estimate_minutes=estimate))
    assert made.rank == {"a": 1}
    assert made.predicted_sequential_minutes is None


def test_a_task_nothing_is_known_of_takes_the_mean_of_the_others() -> None:
    made = plan(task("a", estimate_minutes=10), task("b", estimate_minutes=20), task("c"))
    assert made.predicted_sequential_minutes == 45


def test_mixed_and_odd_ids_are_only_texts() -> None:
    made = plan(task("1"), task("1.2", "1"), task("a/b c:d", "1"), task("..", "a/b c:d"), task("é\n"))
    assert made.levels == (("1", "é\n"), ("1.2", "a/b c:d"), ("..",))


@pytest.mark.parametrize("schedule", list(ScheduleKind))
def test_chains_ten_thousand_deep_are_planned(schedule: ScheduleKind) -> None:
    tasks = [task("0"), *(task(str(one), str(one - 1)) for one in range(1, 10_000))]
    made = plan(*reversed(tasks), schedule=schedule)
    assert made.problems == ()
    assert len(made.levels) == 10_000
    assert made.critical_path == tuple(map(str, range(10_000)))
    held = plan(*reversed(tasks[1:]), task("0", progress=Progress.DEFERRED), schedule=schedule)
    assert len(held.blocked) == 10_000
