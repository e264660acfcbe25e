"""The dependency graph: order and cycles, without recursion (chains may be tens of thousands deep).

A graph is a mapping from each task to what it depends on; everything named is itself a key. Its order is the given
order, which decides among equals.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def dependants_of(graph: Graph) -> dict[str, list[str]]:
    """Task → those that depend on it, in given order."""
    dependants: dict[str, list[str]] = {task: [] for task in graph}
    for task, dependencies in graph.items():
        for dependency in dependencies:
            dependants[dependency].append(task)
    return dependants


def topological_order(graph: Graph) -> list[str]:
    """Dependencies first, else as given (Kahn, 1962). Tasks on a cycle, or behind one, are left out."""
    names = list(graph)
    position = {task: index for index, task in enumerate(names)}
    dependants = dependants_of(graph)
    missing = {task: len(dependencies) for task, dependencies in graph.items()}
    ready = [position[task] for task, count in missing.items() if count == 0]  # ascending, so already a heap
    order = []
    while ready:
        task = names[heapq.heappop(ready)]
        order.append(task)
        for dependant in dependants[task]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                heapq.heappush(ready, position[dependant])
    return order


def find_cycles(graph: Graph) -> list[tuple[str, ...]]:
    """One shortest cycle for each knot of tasks that wait for each other: (a, b) where a needs b and b needs a.

    A task that depends on itself alone is a cycle of one.
    """
    ordered = set(topological_order(graph))
    rest = {task: [one for one in needs if one not in ordered] for task, needs in graph.items() if task not in ordered}
    position = {task: index for index, task in enumerate(rest)}
    cycles = []
    for component in _strong_components(rest):
        first = min(component, key=position.__getitem__)
        if len(component) > 1 or first in rest[first]:
            cycles.append(_shortest_cycle(rest, component, first))
    return sorted(cycles, key=lambda cycle: position[cycle[0]])


def _strong_components(graph: Graph) -> list[set[str]]:
    """Tarjan (1972) with its own stack."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_tasks: list[str] = []
    is_open: set[str] = set()
    components = []
    for root in graph:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        open_tasks.append(root)
        is_open.add(root)
        walk = [(root, iter(graph[root]))]
        while walk:
            task, dependencies = walk[-1]
            for dependency in dependencies:
                if dependency not in index:
                    index[dependency] = low[dependency] = len(index)
                    open_tasks.append(dependency)
                    is_open.add(dependency)
                    walk.append((dependency, iter(graph[dependency])))
                    break
                if dependency in is_open:
                    low[task] = min(low[task], index[dependency])
            else:
                walk.pop()
                if walk:
                    parent = walk[-1][0]
                    low[parent] = min(low[parent], low[task])
                if low[task] == index[task]:
                    component = set()
                    while task not in component:
                        component.add(open_tasks.pop())
                    is_open -= component
                    components.append(component)
    return components


def _shortest_cycle(graph: Graph, component: set[str], first: str) -> tuple[str, ...]:
    came_from: dict[str, str] = {}
    queue = deque([first])
    while queue:
        task = queue.popleft()
        for dependency in graph[task]:
            if dependency == first:
                path = [task]
                while path[-1] != first:
                    path.append(came_from[path[-1]])
                return tuple(reversed(path))
            if dependency in component and dependency not in came_from:
                came_from[dependency] = task
                queue.append(dependency)
    raise AssertionError(f"{first!r} is not on a cycle")
