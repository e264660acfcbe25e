"""Levels and longest paths, by dynamic programming over a topological order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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


def remaining_path(order: Sequence[str], graph: Graph, weight: Mapping[str, float]) -> dict[str, float]:
    """Weight of the heaviest chain from each task, itself included, to an end of the graph (P-5)."""
    behind = dict.fromkeys(order, 0.0)
    rank = {}
    for task in reversed(order):
        rank[task] = weight[task] + behind[task]
        for dependency in graph[task]:
            behind[dependency] = max(behind[dependency], rank[task])
    return rank


def heaviest_chain(
    roots: Iterable[str], dependants: Mapping[str, Sequence[str]], rank: Mapping[str, float]
) -> list[str]:
    """The chain that `rank` (of `remaining_path`) speaks of; the first given wins a tie."""
    chain: list[str] = []
    candidates: Sequence[str] = tuple(roots)
    while candidates:
        chain.append(max(candidates, key=lambda task: rank[task]))
        candidates = dependants[chain[-1]]
    return chain
