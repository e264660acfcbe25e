"""Levels and longest paths, by dynamic programming over a topological order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from maestro.planning.graph import Graph


def level_of(order: Sequence[str], graph: Graph) -> dict[str, int]:
    """Longest distance of each task from the roots, in edges; `order` is topological."""
    level: dict[str, int] = {}
    for task in order:
        level[task] = max((level[dependency] + 1 for dependency in graph[task]), default=0)
    return level


def waves(tasks: Iterable[str], level: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Tasks gathered by level, in the order they are given."""
    gathered: dict[int, list[str]] = {}
    for task in tasks:
        gathered.setdefault(level[task], []).append(task)
    return [tuple(gathered[number]) for number in sorted(gathered)]


class Paths(NamedTuple):
    """For each task the weight of the heaviest chain from it to an end of the graph, itself included (P-5)."""

    rank: dict[str, float]
    following: dict[str, str]  # the next task on that chain, where there is one


def remaining_paths(order: Sequence[str], graph: Graph, weight: Mapping[str, float]) -> Paths:
    """Walk the topological order backwards; among equals the chain goes by the task that is first in it."""
    behind = dict.fromkeys(order, 0.0)
    following: dict[str, str] = {}
    rank = {}
    for task in reversed(order):
        own = rank[task] = weight[task] + behind[task]
        for dependency in graph[task]:
            if own >= behind[dependency]:
                behind[dependency] = own
                following[dependency] = task
    return Paths(rank, following)


def heaviest_chain(tasks: Iterable[str], paths: Paths) -> list[str]:
    """The heaviest chain that begins at one of the tasks; the first given wins a tie."""
    chain: list[str] = []
    task = max(tasks, key=paths.rank.__getitem__, default=None)
    while task is not None:
        chain.append(task)
        task = paths.following.get(task)
    return chain
