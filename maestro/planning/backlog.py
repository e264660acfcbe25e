"""The backlog as planning sees it: what this run takes up, and what makes a plan impossible (P-1, P-4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from maestro.model.plan import Problem, ProblemKind
from maestro.model.task import Progress, Task
from maestro.planning.graph import find_cycles, topological_order
from maestro.planning.markers import SEQUENTIAL, MarkerConflict, group_of, reserved_group

OVER = frozenset({Progress.DONE, Progress.CANCELLED})
"""Tasks that nobody will work on again: mistakes in them make no plan impossible."""


class Backlog(NamedTuple):
    """Every task by its id (the first of duplicates), and those chosen for this run, all in given order."""

    tasks: Mapping[str, Task]
    group: Mapping[str, str]  # of every marked task, of the selected ones where there is a selection
    chosen: Mapping[str, Task]  # not done, selected and in the chosen groups
    graph: Mapping[str, tuple[str, ...]]  # dependencies among the chosen, of those not cancelled
    order: Sequence[str]  # the chosen in topological order, as far as the graph has one
    problems: tuple[Problem, ...]
    chosen_in_words: str = "in the chosen groups"  # after "is not"


def read_backlog(given: Sequence[Task], group_ids: Sequence[str], selected: Collection[str] | None = None) -> Backlog:
    """Check the backlog as far as the chosen tasks reach into it; nothing is raised, problems are gathered."""
    tasks: dict[str, Task] = {}
    for task in given:
        tasks.setdefault(task.id, task)
    group, problems = _groups(tasks if selected is None else {name: tasks[name] for name in tasks if name in selected})
    problems = [*_duplicates(given, tasks), *problems, *_unknown_groups(group_ids, tasks, group)]
    chosen = {
        name: task
        for name, task in tasks.items()
        if task.progress is not Progress.DONE
        and (selected is None or name in selected)
        and (not group_ids or group.get(name, SEQUENTIAL) in group_ids)
    }
    reached, dependency_problems = _reach(chosen, tasks)
    order = topological_order(reached)
    problems += [*dependency_problems, *_cycles(reached, order)]
    if not chosen and not problems:
        problems.append(Problem(kind=ProblemKind.EMPTY, tasks=(), message=_nothing(tasks, group_ids, selected)))
    if len(reached) > len(chosen):
        order = [name for name in order if name in chosen]
    return Backlog(
        tasks=tasks,
        group=group,
        chosen=chosen,
        graph={name: tuple([one for one in reached[name] if one in chosen]) for name in chosen},
        order=order,
        problems=tuple(problems),
        chosen_in_words="in the chosen groups" if selected is None else "among the chosen tasks",
    )


def _groups(tasks: Mapping[str, Task]) -> tuple[dict[str, str], list[Problem]]:
    groups: dict[str, str] = {}
    problems = []
    for name, task in tasks.items():
        try:
            group = group_of(task)
        except MarkerConflict as conflict:
            if task.progress not in OVER:
                problems.append(Problem(kind=ProblemKind.MARKER_CONFLICT, tasks=(name,), message=conflict.message))
            continue
        if group == SEQUENTIAL:
            if task.progress not in OVER:
                message = reserved_group(name)
                problems.append(Problem(kind=ProblemKind.RESERVED_GROUP, tasks=(name,), message=message))
        elif group is not None:
            groups[name] = group
    return groups, problems


def _duplicates(given: Sequence[Task], tasks: Mapping[str, Task]) -> Iterator[Problem]:
    if len(given) == len(tasks):
        return
    counts: dict[str, int] = {}
    for task in given:
        counts[task.id] = counts.get(task.id, 0) + 1
    for name, count in counts.items():
        if count > 1:
            message = f"task id {name!r} is used {count} times"
            yield Problem(kind=ProblemKind.DUPLICATE_ID, tasks=(name,), message=message)


def _unknown_groups(wanted: Iterable[str], tasks: Mapping[str, Task], group: Mapping[str, str]) -> Iterator[Problem]:
    known = dict.fromkeys(group.values())
    for name in dict.fromkeys(wanted):
        if name in known or (name == SEQUENTIAL and len(group) < len(tasks)):
            continue
        there = "it has " + ", ".join(map(repr, known)) if known else "no task has a marker"
        message = f"the backlog has no group {name!r}: {there}"
        yield Problem(kind=ProblemKind.UNKNOWN_GROUP, tasks=(), message=message)


def _reach(chosen: Mapping[str, Task], tasks: Mapping[str, Task]) -> tuple[dict[str, list[str]], list[Problem]]:
    """The graph of the chosen tasks and of all that they wait for, and the dependencies that make no sense."""
    graph: dict[str, list[str]] = {name: [] for name in chosen}
    problems = []
    queue = [name for name, task in chosen.items() if task.progress not in OVER]
    for name in queue:  # grows while it is walked
        needs = graph[name]
        for needed in dict.fromkeys(tasks[name].dependencies):
            task = tasks.get(needed)
            if needed == name:
                message = f"task {name!r} depends on itself"
                problems.append(Problem(kind=ProblemKind.SELF_DEPENDENCY, tasks=(name,), message=message))
            elif task is None:
                message = f"task {name!r} depends on {needed!r}, which is not in the backlog"
                problems.append(Problem(kind=ProblemKind.UNKNOWN_DEPENDENCY, tasks=(name, needed), message=message))
            elif task.progress is not Progress.DONE:
                # The task's own id, not the equal text beside it: looking up one and the same object is quicker.
                needs.append(task.id)
                if needed not in graph:
                    graph[task.id] = []
                    if task.progress not in OVER:
                        queue.append(task.id)
    return graph, problems


def _cycles(graph: Mapping[str, list[str]], order: Sequence[str]) -> Iterator[Problem]:
    for cycle in find_cycles(graph, order):
        told = " → ".join((*cycle, cycle[0]))
        message = f"tasks depend on each other in a circle: {told}"
        yield Problem(kind=ProblemKind.CYCLE, tasks=cycle, message=message)


def _nothing(tasks: Mapping[str, Task], group_ids: Sequence[str], selected: Collection[str] | None) -> str:
    if not tasks:
        return "nothing to do: the backlog holds no task"
    if selected is not None and not tasks.keys() & selected:
        return "nothing to do: no task of the backlog is among the chosen"
    where = "of the chosen groups" if group_ids else "of the backlog" if selected is None else "among the chosen"
    return f"nothing to do: every task {where} is done"
