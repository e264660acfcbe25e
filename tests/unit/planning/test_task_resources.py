"""Which named resources a task holds, and what is said of one that there is not (I-7)."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.plan import PlanOptions, ProblemKind
from maestro.model.task import Progress, Task
from maestro.planning.plan import make_plan
from maestro.planning.render_text import render_text
from maestro.planning.resources import resources_of

KNOWN = frozenset({"tests", "docker", "gpu"})


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ()),
        ({"resources": ("gpu", "docker", "gpu")}, ("docker", "gpu")),
        ({"labels": ("resource:gpu", " resource: docker ", "resource:", "my resource:x")}, ("docker", "gpu")),
        ({"resources": ("docker",), "labels": ("resource:docker", "backend")}, ("docker",)),
    ],
)
def test_resources_are_taken_in_one_order_whatever_the_task_says(fields: Any, names: tuple[str, ...]) -> None:
    assert resources_of(Task(id="a", **fields)) == names


def test_the_plan_knows_what_each_task_holds() -> None:
    tasks = [
        Task(id="a", resources=("docker",)),
        Task(id="b", labels=("resource:docker", "resource:gpu")),
        Task(id="c"),
        Task(id="done", resources=("old",), progress=Progress.DONE),
        Task(id="gone", resources=("older",), progress=Progress.CANCELLED),
    ]
    plan = make_plan(tasks, PlanOptions(resources=KNOWN))
    assert plan.problems == ()
    assert plan.resources == {"a": ("docker",), "b": ("docker", "gpu")}
    assert "\nResources:\n  docker: a, b\n  gpu: b\n" in render_text(plan)


@pytest.mark.parametrize(
    ("name", "there"),
    [("dokcer", "did you mean 'docker'?"), ("database", "there are 'docker', 'gpu', 'tests'")],
)
def test_a_resource_that_is_not_configured_makes_the_plan_impossible(name: str, there: str) -> None:
    tasks = [Task(id="a", resources=(name,)), Task(id="b")]
    (problem,) = make_plan(tasks, PlanOptions(resources=KNOWN)).problems
    assert problem.kind is ProblemKind.UNKNOWN_RESOURCE
    assert problem.tasks == ("a",)
    assert problem.message == f"task 'a' wants the resource {name!r}, which is not configured: {there}"
    assert make_plan(tasks, PlanOptions()).problems == ()
