"""Which ready task is started next: the first that nothing but its own wait stands in the way of (E-4, A-5)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from maestro.engine.context import RunContext
from maestro.engine.dispatch import Dispatch
from maestro.engine.holds import Holds
from maestro.engine.phases import GroupPhases
from maestro.model.events import Event
from maestro.model.plan import ScheduleKind
from maestro.model.task import Task
from maestro.planning.schedule import Dispatcher
from maestro.testing.repository import Repository
from tests.integration.engine_runs import EngineRun


def dispatch_of(repo: Repository, root: Path, tasks: list[Task], **settings: Any) -> tuple[Dispatch, Dispatcher]:
    context = EngineRun(repo, tasks, root, schedule=ScheduleKind.DATAFLOW, **settings).context
    dispatcher = Dispatcher(context.plan, keep_going=False)
    return Dispatch(context, dispatcher, GroupPhases(context), holds_of(context)), dispatcher


def holds_of(context: RunContext) -> Holds:
    async def record(_: Event) -> None: ...

    return Holds(record, context.clock, lambda _: None)


def started(dispatch: Dispatch, dispatcher: Dispatcher) -> list[str]:
    names = []
    while (task := dispatch.next_start()) is not None:
        dispatcher.start(task)
        dispatch.running[task] = dispatch.chosen(task)
        names.append(task)
    return names


def test_a_full_group_is_passed_over_however_long_it_is(repo: Repository, tmp_path: Path) -> None:
    tasks = [*(Task(id=f"x{number}", group="x") for number in range(100)), Task(id="y", group="y"), Task(id="z")]
    dispatch, dispatcher = dispatch_of(repo, tmp_path / "ws", tasks, group_parallel=2, max_parallel=10)
    assert started(dispatch, dispatcher) == ["x0", "x1", "y", "z"]


def test_the_limit_of_the_agent_holds(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id=str(number)) for number in range(5)]
    dispatch, dispatcher = dispatch_of(repo, tmp_path / "ws", tasks, agent_limits={"command": 1}, max_parallel=10)
    assert started(dispatch, dispatcher) == ["0"]


def test_nothing_starts_on_an_account_on_hold(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id=str(number)) for number in range(3)], tmp_path / "ws", max_parallel=10)
    holds, dispatcher = holds_of(run.context), Dispatcher(run.context.plan, keep_going=False)
    dispatch = Dispatch(run.context, dispatcher, GroupPhases(run.context), holds)
    now = run.context.clock.now()
    asyncio.run(holds.hold("command", "0", now + timedelta(hours=1), "x"))
    assert started(dispatch, dispatcher) == []
    asyncio.run(holds.ended("command", "0", None))
    assert started(dispatch, dispatcher) == []


def test_no_more_start_than_are_allowed_at_once(repo: Repository, tmp_path: Path) -> None:
    tasks = [Task(id=str(number)) for number in range(30)]
    dispatch, dispatcher = dispatch_of(repo, tmp_path / "ws", tasks, max_parallel=12)
    assert started(dispatch, dispatcher) == [str(number) for number in range(12)]
