"""The dependency graph: order and cycles, without recursion (chains may be tens of thousands deep).

A graph is a mapping from each task to what it depends on; everything named is itself a key. Its order is the given
order, which decides among equals.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def without(graph: Graph, tasks: Collection[str]) -> Graph:
    """The graph less some tasks and the edges to them."""
    if not tasks:
        return graph
    return {name: [one for one in needs if one not in tasks] for name, needs in graph.items() if name not in tasks}


def topological_order(graph: Graph) -> list[str]:
    """Dependencies first, else as given (Kahn, 1962). Tasks on a cycle, or behind one, are left out."""
    names = list(graph)
    position = {task: index for index, task in enumerate(names)}
    dependants: list[list[int]] = [[] for _ in names]
    missing = []
    for index, needs in enumerate(graph.values()):
        missing.append(len(needs))
        for needed in needs:
            dependants[position[needed]].append(index)
    ready = [index for index, count in enumerate(missing) if count == 0]  # ascending, so already a heap
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(names[index])
        for dependant in dependants[index]:
            missing[dependant] -= 1
            if missing[dependant] == 0:
                heapq.heappush(ready, dependant)
    return order


def find_cycles(graph: Graph, order: Sequence[str]) -> list[tuple[str, ...]]:
    """One short cycle for each knot of tasks that wait for each other: (a, b) where a needs b and b needs a.

    `order` is the topological order of as much of the graph as has one. A task that depends on itself alone is a
    cycle of one.
    """
    if len(order) == len(graph):
        return []
    ordered = set(order)
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
