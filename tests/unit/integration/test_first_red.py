from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.integration.bisect import first_red


def search(reds: list[bool], green: int = 0) -> tuple[int, int]:
    """(index, probes), where `reds[i]` says whether the prefix of length i + 1 is red."""
    probes = 0
    steps = first_red(len(reds), green)
    try:
        length = next(steps)
        while True:
            probes += 1
            assert green < length < len(reds), "the ends are known already"
            length = steps.send(not reds[length - 1])
    except StopIteration as found:
        return found.value, probes


@pytest.mark.parametrize(
    ("reds", "culprit"), [("r", 0), ("gr", 1), ("rr", 0), ("grrr", 1), ("gggr", 3), ("ggggrrrr", 4)]
)
def test_the_first_red_of_a_simple_stack(reds: str, culprit: int) -> None:
    assert search([one == "r" for one in reds])[0] == culprit


@given(st.data(), st.integers(1, 200))
def test_one_culprit_is_found_with_few_probes(data: st.DataObject, count: int) -> None:
    culprit = data.draw(st.integers(0, count - 1))
    green = data.draw(st.integers(0, culprit))
    found, probes = search([index >= culprit for index in range(count)], green)
    assert found == culprit
    assert probes <= math.ceil(math.log2(count - green)) if count - green > 1 else probes == 0


@given(st.lists(st.booleans(), max_size=60))
def test_whatever_alternates_the_answer_turns_green_to_red(colours: list[bool]) -> None:
    reds = [*colours, True]
    found, _ = search(reds)
    assert reds[found]
    assert found == 0 or not reds[found - 1]


@pytest.mark.parametrize(("count", "green"), [(0, 0), (3, 3), (2, -1)])
def test_without_a_red_item_there_is_no_search(count: int, green: int) -> None:
    with pytest.raises(ValueError, match="no red item"):
        next(first_red(count, green))
