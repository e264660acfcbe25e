"""Barriers of a schedule (P-3): which tasks stand together, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from maestro.model.plan import Problem, ProblemKind
from maestro.planning.graph import Graph, find_cycles, topological_order
from maestro.planning.levels import level_of, waves

Stages = tuple[tuple[str, ...], ...]


def level_stages(order: Sequence[str], graph: Graph) -> Stages:
    """One stage for each level of a graph; `order` is topological."""
    return tuple(waves(graph, level_of(order, graph)))


def group_stages(graph: Graph, group: Mapping[str, str]) -> tuple[Stages, list[Problem]]:
    """A group is one stage at the place of its first member, every other task one of its own.

    A stage that depends on a later one is moved behind it, all else stays in order. Stages that wait for each other
    are a problem that names the tasks which tie the knot.
    """
    name = {task: f"group {group[task]}" if task in group else f"task {task}" for task in graph}
    stages: dict[str, list[str]] = {}
    for task, stage in name.items():
        stages.setdefault(stage, []).append(task)
    at = {task: index for index, members in enumerate(stages.values()) for task in members}
    if all(at[one] <= at[task] for task, needs in graph.items() for one in needs):
        return tuple(map(tuple, stages.values())), []  # the usual case: nothing to move
    edges = {
        stage: list(dict.fromkeys(name[one] for task in tasks for one in graph[task] if name[one] != stage))
        for stage, tasks in stages.items()
    }
    order = topological_order(edges)
    if len(order) == len(stages):
        return tuple(tuple(stages[stage]) for stage in order), []
    return (), [_knot(cycle, stages, name, graph, group) for cycle in find_cycles(edges, order)]


def _knot(
    cycle: tuple[str, ...],
    stages: Mapping[str, list[str]],
    name: Mapping[str, str],
    graph: Graph,
    group: Mapping[str, str],
) -> Problem:
    ties = [
        next((task, one) for task in stages[stage] for one in graph[task] if name[one] == following)
        for stage, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True)
    ]
    told = "; ".join(f"{_named(task, group)} depends on {_named(one, group)}" for task, one in ties)
    return Problem(
        kind=ProblemKind.STAGE_ORDER,
        tasks=tuple(dict.fromkeys(chain.from_iterable(ties))),
        message=f"stages wait for each other: {told} (--schedule dataflow goes by dependencies alone)",
    )


def _named(task: str, group: Mapping[str, str]) -> str:
    return f"{task!r} of group {group[task]!r}" if task in group else f"{task!r}"
