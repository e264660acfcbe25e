"""Nothing is made ahead where a task might not start at once, or the machine be short of something."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maestro.config.settings import Settings
from maestro.engine.options import Options
from maestro.errors import WorkspaceError
from maestro.model.plan import PlanOptions
from maestro.model.task import Task
from maestro.planning.plan import make_plan
from maestro.resources.throttle import Limits, Reading
from maestro.wiring import warming

PLENTY = {"load_per_core": 0.1, "free_memory": 64 << 30, "free_disk": 64 << 30, "free_files": 10_000}


class Asked:
    """Workspaces that count what is asked of them."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int, str]] = []

    def warm(self, base: str, count: int, run_id: str) -> None:
        self.made.append((base, count, run_id))

    def close(self) -> None:
        raise WorkspaceError("one stays")


def asked_for(
    options: dict[str, Any] | None = None, short: dict[str, Any] | None = None, tasks: int = 9, **settings: Any
) -> list[tuple[str, int, str]]:
    workspaces = Asked()
    prepared: Any = SimpleNamespace(
        workspaces=workspaces,
        machine=lambda: Reading(**{**PLENTY, **(short or {})}),
        options=Options(**{"max_parallel": 3, "max_parallel_reason": "", "budgets": {}, **(options or {})}),
    )
    backlog: Any = SimpleNamespace(
        base="b" * 40, plan=make_plan([Task(id=f"t{number}") for number in range(tasks)], PlanOptions())
    )
    warming.warm(prepared, Settings.model_validate({"agent": "command", **settings}), backlog, "r")
    return workspaces.made


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "usable_cores", lambda: 4)


def test_as_many_as_start_at_once() -> None:
    assert asked_for() == [("b" * 40, 3, "r")]
    assert asked_for(tasks=2) == [("b" * 40, 2, "r")]
    assert asked_for({"max_parallel": 64}, tasks=64) == [("b" * 40, 8, "r")]
    assert asked_for({"group_parallel": 2}) == [("b" * 40, 2, "r")]
    assert asked_for({"agent_limits": {"command": 1}}) == [("b" * 40, 1, "r")]


@pytest.mark.parametrize(
    "short",
    [
        {"free_disk": None},
        {"free_disk": (1 << 30) - 1},
        {"free_disk": 3 << 30},  # with a floor of 1 GiB, four might not be left
        {"free_memory": 1 << 20},
        {"free_files": 3},
        {"load_per_core": 99.0},
    ],
    ids=str,
)
def test_none_where_the_machine_is_short_of_something(short: dict[str, Any]) -> None:
    limits = Limits(max_load=16, min_free_memory=1 << 30, min_free_disk=1 << 30, min_free_files=64)
    assert asked_for({"bearable": limits}, short) == []


def test_none_for_a_session() -> None:
    assert asked_for(agent="delegate") == []


def test_what_cannot_be_removed_is_no_error_of_the_run(tmp_path: Path) -> None:
    prepared: Any = SimpleNamespace(workspaces=Asked(), root=tmp_path / "gone")
    warming.end_warming(prepared)
