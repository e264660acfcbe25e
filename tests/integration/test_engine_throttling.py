"""While the machine does not bear more, nothing more starts; it is said once, and looked at again by itself (E-4)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from maestro.engine import throttling
from maestro.model.events import AttemptEnded, AttemptStarting, Event, Throttled
from maestro.model.task import Task
from maestro.resources.throttle import Reading
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states

PRESSED = Reading(load_per_core=50.0, waiting_percent=100.0, free_memory=1 << 40, free_disk=1 << 40, free_files=900)
FINE = PRESSED.evolve(load_per_core=0.1)


class Machine:
    """Readings as the test says, and how often they were asked for."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.asked = 0

    def __call__(self) -> Reading:
        self.asked += 1
        return self.reading


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "AGAIN_SECONDS", 0.02)


def pressed_run(repo: Repository, root: Path, machine: Machine, tasks: int, agent: str = WRITES) -> EngineRun:
    run = EngineRun(repo, [Task(id=name) for name in "abcdef"[:tasks]], root, agent=agent, max_load=8)
    run.replace(machine=machine)
    return run


def at_once(events: list[Event]) -> int:
    """The most attempts that were under way together."""
    now = most = 0
    for event in events:
        now += isinstance(event, AttemptStarting)
        now -= isinstance(event, AttemptEnded)
        most = max(most, now)
    return most


def said(events: list[Event]) -> list[str | None]:
    return [event.reason for event in events if isinstance(event, Throttled)]


def test_under_a_load_that_never_ends_one_goes_on_after_the_other(repo: Repository, tmp_path: Path) -> None:
    run = pressed_run(repo, tmp_path / "ws", Machine(PRESSED), 4)
    ended = run.go()
    assert states(ended) == dict.fromkeys("abcd", "landed"), ended.reason
    assert at_once(run.seen.events) == 1
    assert said(run.seen.events) == ["the load is 50.0 per core, the limit is 8", None]
    assert ended.throttled is None
    assert ended.warnings == ()


def test_the_rest_starts_by_itself_when_the_load_is_over(repo: Repository, tmp_path: Path) -> None:
    """Nothing happens in the run meanwhile: the first attempt waits for the others."""
    machine = Machine(PRESSED)
    folder = tmp_path / "seen"
    folder.mkdir()
    agent = f"touch {folder}/$MAESTRO_TASK_ID; while [ ! -e {folder}/c ]; do sleep 0.02; done; {WRITES}"
    run = pressed_run(repo, tmp_path / "ws", machine, 3, agent)

    def relax(event: Event) -> None:
        if isinstance(event, Throttled) and event.reason is not None:
            machine.reading = FINE

    run.seen.react = relax
    assert states(run.go()) == dict.fromkeys("abc", "landed")
    assert at_once(run.seen.events) == 3
    assert said(run.seen.events)[0] is not None
    assert said(run.seen.events)[-1] is None


def test_a_change_of_reason_is_said_and_a_change_of_numbers_is_not(repo: Repository, tmp_path: Path) -> None:
    enough = tmp_path / "enough"

    class Falling(Machine):
        def __call__(self) -> Reading:
            self.asked += 1
            if self.asked > 12:
                enough.touch()
            if self.asked < 10:
                return PRESSED.evolve(load_per_core=50.0 + self.asked)
            return FINE.evolve(free_files=3)

    waits = f"until [ -e {enough} ]; do sleep 0.02; done; {WRITES}"
    run = EngineRun(repo, [Task(id="a"), Task(id="b")], tmp_path / "ws", agent=waits, max_load=8, min_free_files=64)
    falling = Falling(PRESSED)
    run.replace(machine=falling)
    assert states(run.go()) == {"a": "landed", "b": "landed"}
    assert falling.asked > 12
    reasons = said(run.seen.events)
    assert [str(reason).split()[0] for reason in reasons] == ["the", "only", "None"], reasons


def test_nobody_looks_at_the_machine_while_no_task_waits_for_it(repo: Repository, tmp_path: Path) -> None:
    machine = Machine(PRESSED)
    run = pressed_run(repo, tmp_path / "ws", machine, 1, f"sleep 0.5; {WRITES}")
    assert states(run.go()) == {"a": "landed"}
    assert machine.asked <= 2
    assert said(run.seen.events) == []


def test_what_an_earlier_coordinator_said_is_taken_back(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws")
    context = run.context

    async def drive() -> None:
        try:
            await context.recorder.record(run.built.start, Throttled(at=context.clock.now(), reason="too much load"))
            await throttling.Throttling(context, lambda _: None).over()
        finally:
            await run.journal.close()

    asyncio.run(drive())
    assert context.recorder.run.throttled is None
    assert said(run.seen.events) == ["too much load", None]
