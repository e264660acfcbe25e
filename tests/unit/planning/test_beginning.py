"""How many tasks start at once: never too many."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.plan import PlanOptions, ScheduleKind
from maestro.model.task import Task
from maestro.planning.beginning import first_starts
from maestro.planning.plan import make_plan
from maestro.planning.schedule import Dispatcher

CASES: dict[str, tuple[list[dict[str, Any]], PlanOptions, int]] = {
    "all": ([{"id": "a"}, {"id": "b"}, {"id": "c"}], PlanOptions(), 3),
    "what waits for another": ([{"id": "a"}, {"id": "b", "dependencies": ("a",)}], PlanOptions(), 1),
    "one at a time": (
        [{"id": "a"}, {"id": "b"}, {"id": "c", "title": "[P:Group-X] c"}],
        PlanOptions(schedule=ScheduleKind.STAGES),
        1,
    ),
    "a group": (
        [{"id": "a", "title": "[P:Group-X] a"}, {"id": "b", "title": "[P:Group-X] b"}, {"id": "c"}],
        PlanOptions(),
        2,
    ),
    "a level": ([{"id": "a"}, {"id": "b"}], PlanOptions(schedule=ScheduleKind.LEVELS), 2),
    "one file": ([{"id": name, "files": ("x",)} for name in "abc"], PlanOptions(), 1),
    "one file, which is no matter": (
        [{"id": name, "files": ("x",)} for name in "abc"],
        PlanOptions(allow_overlap=True),
        3,
    ),
    "a resource": (
        [{"id": "a", "resources": ("gpu",)}, {"id": "b"}],
        PlanOptions(resources=frozenset({"gpu"})),
        1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_starts(case: str) -> None:
    tasks, options, count = CASES[case]
    plan = make_plan([Task(**task) for task in tasks], options)
    assert not plan.problems
    assert first_starts(plan, 10) == count
    assert first_starts(plan, 1) == 1
    assert first_starts(plan, 0) == 0
    dispatcher, started = Dispatcher(plan, keep_going=False), 0
    while ready := dispatcher.ready(1):
        dispatcher.start(ready[0])
        started += 1
    assert count <= started
