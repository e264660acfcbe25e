"""Order, cycles and levels of the dependency graph."""

from __future__ import annotations

from maestro.planning.graph import find_cycles, topological_order, without
from maestro.planning.levels import heaviest_chain, level_of, remaining_paths, waves

DIAMOND = {"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": [], "z": []}


def test_order_puts_dependencies_first_and_keeps_the_given_order_among_equals() -> None:
    assert topological_order(DIAMOND) == ["a", "c", "b", "d", "z"]


def test_what_is_on_a_cycle_or_behind_one_has_no_order() -> None:
    assert topological_order({"a": ["b"], "b": ["a"], "c": ["b"], "d": []}) == ["d"]


def test_each_knot_is_told_once_by_a_short_cycle() -> None:
    graph = {"x": ["a"], "a": ["b"], "b": ["c", "a"], "c": ["a"], "p": ["q"], "q": ["p"], "s": ["s"], "free": []}
    assert find_cycles(graph, topological_order(graph)) == [("a", "b"), ("p", "q"), ("s",)]


def test_a_cycle_as_long_as_the_backlog() -> None:
    graph = {str(one): [str((one + 1) % 20_000)] for one in range(20_000)}
    (cycle,) = find_cycles(graph, topological_order(graph))
    assert cycle == tuple(map(str, range(20_000)))


def test_levels_are_the_longest_distance_from_the_roots() -> None:
    level = level_of(topological_order(DIAMOND), DIAMOND)
    assert level == {"a": 0, "z": 0, "b": 1, "c": 1, "d": 2}
    assert waves(DIAMOND, level) == [("a", "z"), ("c", "b"), ("d",)]


def test_the_heaviest_chain_goes_by_weight_and_then_by_order() -> None:
    weight = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0, "z": 7.0}
    paths = remaining_paths(topological_order(DIAMOND), DIAMOND, weight)
    assert paths.rank == {"a": 7.0, "b": 6.0, "c": 3.0, "d": 1.0, "z": 7.0}
    assert heaviest_chain(["z", "a"], paths) == ["z"]
    assert heaviest_chain(["a", "z"], paths) == ["a", "b", "d"]
    assert heaviest_chain([], paths) == []


def test_a_graph_without_some_of_its_tasks() -> None:
    assert without(DIAMOND, {"b", "z"}) == {"d": ["c"], "c": ["a"], "a": []}
