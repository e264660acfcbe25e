"""Impossible backlogs are refused with the ids that make them so, whatever surrounds the mistake (P-1, P-4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.plan import PlanOptions, ProblemKind, ScheduleKind
from maestro.model.task import Progress, Task
from maestro.planning.markers import detect_groups
from maestro.planning.plan import make_plan

names = st.text(min_size=1, max_size=8)
marker_names = st.text(st.characters(exclude_characters="]", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda text: not any(one.isspace() for one in text)
)
any_graph = st.dictionaries(names, st.lists(names, max_size=3), max_size=8)
schedules = st.builds(PlanOptions, schedule=st.sampled_from(ScheduleKind))


@settings(max_examples=300, deadline=None)
@given(any_graph, st.lists(st.sampled_from(Progress), min_size=8, max_size=8), schedules)
def test_a_plan_has_problems_exactly_where_its_graph_has(
    graph: dict[str, list[str]], progress: list[Progress], options: PlanOptions
) -> None:
    tasks = [
        Task(id=name, dependencies=tuple(needs), progress=state)
        for (name, needs), state in zip(graph.items(), progress, strict=False)
    ]
    plan = make_plan(tasks, options)
    told = {(problem.kind, problem.tasks) for problem in plan.problems}
    standing = {task.id: task for task in tasks if task.progress not in {Progress.DONE, Progress.CANCELLED}}
    for name, task in standing.items():
        for needed in task.dependencies:
            assert (needed not in graph) == ((ProblemKind.UNKNOWN_DEPENDENCY, (name, needed)) in told)
        assert (name in task.dependencies) == ((ProblemKind.SELF_DEPENDENCY, (name,)) in told)
    cycles = [tasks for kind, tasks in told if kind is ProblemKind.CYCLE]
    for cycle in cycles:
        for one, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert following in standing[one].dependencies
    assert bool(cycles) == has_cycle({name: set(task.dependencies) - {name} for name, task in standing.items()})
    for problem in plan.problems:
        assert all(name in problem.message or repr(name) in problem.message for name in problem.tasks)
    if plan.problems:
        assert plan.levels == ()


@given(st.lists(marker_names, min_size=2, max_size=2, unique=True))
def test_two_markers_name_the_task_and_both_groups(groups: list[str]) -> None:
    one, other = groups
    task = Task(id="the-task", title=f"[P:Group-{one}]", labels=(f"parallel:Group-{other}",))
    conflict = [p for p in make_plan([task], PlanOptions()).problems if p.kind is ProblemKind.MARKER_CONFLICT]
    assert [problem.tasks for problem in conflict] == [("the-task",)]
    assert repr(one) in conflict[0].message
    assert repr(other) in conflict[0].message


@given(st.lists(st.none() | marker_names.filter(lambda name: name != "_sequential"), max_size=10))
def test_detection_loses_no_task_and_no_character_of_a_name(groups: list[str | None]) -> None:
    tasks = [{"id": number, "title": f"[P:Group-{group}]" if group else "t"} for number, group in enumerate(groups)]
    found = detect_groups(tasks)
    assert sorted(task["id"] for members in found.values() for task in members) == list(range(len(groups)))
    for name, members in found.items():
        assert [groups[task["id"]] or "_sequential" for task in members] == [name] * len(members)
        assert members == sorted(members, key=lambda task: task["id"])


def has_cycle(graph: dict[str, set[str]]) -> bool:
    left = {name: {one for one in needs if one in graph} for name, needs in graph.items()}
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return bool(left)
