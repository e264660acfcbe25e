"""E-9: where more than 30 % of the landings fail, the run goes on one task at a time, and says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from maestro.engine.caution import Caution
from maestro.model.events import AttemptStarting, Event, WentSequential
from maestro.model.folding import apply, begin, fold
from maestro.model.run import Run
from maestro.model.states import ACTIVE
from maestro.model.task import Task
from maestro.store.journal import read_journal
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states

IN_ONE_FILE = 'echo "$MAESTRO_TASK_ID" >> shared.txt && git add -A && git commit -qm work'
TASKS = [Task(id=name) for name in "abcdefgh"]


def beside(events: list[Event]) -> list[tuple[str, list[str]]]:
    """Each start after the run went sequential, with what was under way then."""
    run, found = begin(events[0]), []  # type: ignore[arg-type]
    for event in events[1:]:
        if isinstance(event, AttemptStarting) and run.sequential is not None:
            found.append((event.task, [task.id for task in run.tasks.values() if task.state in ACTIVE]))
        run = apply(run, event)
    return found


def said(run: EngineRun) -> list[WentSequential]:
    return [event for event in run.seen.events if isinstance(event, WentSequential)]


def test_tasks_that_meet_in_one_file_are_done_one_after_the_other(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, TASKS, tmp_path / "ws", agent=IN_ONE_FILE, max_parallel=8, attempts=3)
    ended = run.go(60)
    [went] = said(run)
    assert "of" in went.reason
    assert "30%" in went.reason
    assert ended.sequential == went.reason
    started = beside(run.seen.events)
    assert started
    assert all(others == [] for _, others in started), started
    assert "landed" in states(ended).values()
    written = repo.show(ended.branch, "shared.txt").split()
    assert sorted(written) == sorted(task for task, state in states(ended).items() if state == "landed")


def test_a_run_without_trouble_stays_as_it_is(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, TASKS, tmp_path / "ws", agent=WRITES, max_parallel=8)
    ended = run.go(60)
    assert said(run) == []
    assert (ended.landings, ended.landings_failed) == (8, 0)


@pytest.mark.parametrize(("settings", "tasks"), [
    ({"sequential_above": 1.0}, TASKS),  # the user wants none of it
    ({"max_parallel": 1}, TASKS),  # it is so already
    ({}, TASKS[:3]),  # too few say nothing
])  # fmt: skip
def test_it_stays_parallel_where_nothing_is_gained_or_known(
    repo: Repository, tmp_path: Path, settings: dict[str, Any], tasks: list[Task]
) -> None:
    agent = WRITES if len(tasks) < 4 else IN_ONE_FILE
    tests = {"test_command": "! ls out-*.txt"} if len(tasks) < 4 else {}
    run = EngineRun(repo, tasks, tmp_path / "ws", agent=agent, attempts=1, **{"max_parallel": 8, **tests, **settings})
    run.go(60)
    assert said(run) == []


def test_red_tests_count_and_attempts_that_fail_by_themselves_do_not(repo: Repository, tmp_path: Path) -> None:
    agent = f'case "$MAESTRO_TASK_ID" in [ab]) exit 3;; esac; {WRITES}'
    run = EngineRun(repo, TASKS, tmp_path / "ws", agent=agent, attempts=1, max_parallel=8, max_batch=1,
                    test_command="! ls out-[cde].txt && true")  # fmt: skip
    ended = run.go(60)
    assert {task for task, state in states(ended).items() if state == "failed"} == set("abcde")
    assert (ended.landings, ended.landings_failed) == (3, 3)
    assert len(said(run)) == 1


def test_a_run_that_is_resumed_stays_sequential(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, TASKS, tmp_path / "ws", agent=IN_ONE_FILE, max_parallel=8, attempts=3)
    run.go(60)
    events = read_journal(run.context.layout.journal("r")).events
    place = next(number for number, event in enumerate(events) if isinstance(event, WentSequential))
    told: Run = fold(events[: place + 1])
    again = EngineRun(repo, TASKS, tmp_path / "ws2", run_id="again", max_parallel=8)
    again.recorder._run = told  # as where an earlier coordinator left it
    caution = Caution(again.context, lambda: 0)
    assert not caution.holds_back(0)
    assert caution.holds_back(1)
    assert Caution(again.context, lambda: 1).holds_back(0)
    asyncio.run(caution.look())
    assert again.recorder.run is told, "it is said once"
    asyncio.run(again.journal.close())
