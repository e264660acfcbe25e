"""When all that can start now has started, the loop says so once; and what follows when those at work leave (C-3)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maestro.engine.messages import SessionOver
from maestro.model.events import AttemptSpawned, Event, GateStarted, Landed
from maestro.model.states import RunStatus
from maestro.model.task import Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.testing.processes import Gate, until
from maestro.testing.repository import Repository
from maestro.trackers.base import Note
from tests.integration.engine_runs import WRITES, EngineRun, states


class SlowTracker(MemoryTracker):
    """One whose claims take their time, as those of a real one do."""

    def claim(self, task: str, note: Note) -> None:
        time.sleep(0.1)
        super().claim(task, note)


class Word:
    """Keeps what is said, with the number of agents at work by then; lets them end once it is settled."""

    def __init__(self, run: EngineRun, gate: Gate, groups_of: Sequence[int]) -> None:
        self.said: list[tuple[bool, int]] = []
        self._run = run
        self._gate = gate
        self._groups_of = list(groups_of)

    def __call__(self, settled: bool) -> None:
        started = sum(isinstance(event, AttemptSpawned) for event in self._run.seen.events)
        self.said.append((settled, started))
        if settled and self._groups_of:
            self._gate.let_through(self._groups_of.pop(0))


def chain() -> list[Task]:
    """Three at once, then one."""
    return [Task(id="a"), Task(id="b"), Task(id="c"), Task(id="d", dependencies=("a", "b", "c"))]


def test_it_is_settled_once_all_that_can_start_has_started(repo: Repository, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    tasks = chain()
    agent = f"read go < {gate.path}; {WRITES}"
    run = EngineRun(repo, tasks, tmp_path / "ws", agent=agent, tracker=SlowTracker(tasks))
    word = Word(run, gate, [3, 1])
    run.replace(on_settled=word)
    assert run.go().status is RunStatus.COMPLETED
    gate.close()
    assert word.said == [(False, 0), (True, 3), (False, 3), (True, 4)]


def test_the_preparation_of_a_group_is_part_of_a_start(repo: Repository, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    tasks = [Task(id=name, title="[P:Group-X] it") for name in "ab"]
    agent = f"read go < {gate.path}; {WRITES}"
    run = EngineRun(repo, tasks, tmp_path / "ws", agent=agent, refresh_command="sleep 0.3; echo all well")
    word = Word(run, gate, [2])
    run.replace(on_settled=word)
    assert run.go().status is RunStatus.COMPLETED
    gate.close()
    assert word.said == [(False, 0), (True, 2)]


def leaving(run: EngineRun, at: type[Event], task: str | None = None) -> Any:
    """The session leaves at the first such event."""
    left: list[Event] = []

    def react(event: Event) -> None:
        if isinstance(event, at) and not left and task in (None, getattr(event, "task", None)):
            left.append(event)
            assert run.engine is not None
            run.engine.tell(SessionOver("they have left"))

    return react


def test_what_nobody_will_finish_is_saved_when_they_leave(repo: Repository, tmp_path: Path) -> None:
    agent = f'{WRITES}; [ "$MAESTRO_TASK_ID" = a ] || exec sleep 60'
    tasks = [Task(id="a"), Task(id="b"), Task(id="c", dependencies=("a", "b"))]
    run = EngineRun(repo, tasks, tmp_path / "ws", agent=agent)
    run.seen.react = leaving(run, Landed, "a")
    ended = run.go()
    assert (ended.status, ended.reason) == (RunStatus.INTERRUPTED, "they have left")
    assert states(ended) == {"a": "landed", "b": "cancelled", "c": "pending"}
    assert ended.tasks["b"].reason == "they have left"
    saved = ended.tasks["b"].saved_ref
    assert saved is not None


def test_what_is_reported_lands_though_they_leave(repo: Repository, tmp_path: Path) -> None:
    """Also where the one who waits for the report has not noticed it yet."""
    report = """printf '{"status": "done"}' > "$MAESTRO_REPORT_FILE" """
    agent = f"{WRITES}; {report}; sleep 0.5"
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws", agent=agent)

    def react(event: Event) -> None:
        if isinstance(event, AttemptSpawned):
            written = tmp_path / "ws" / "r" / "task-a" / ".agent-state" / "report.json"
            until(lambda: written.exists() and written.read_text().endswith("}"))
            assert run.engine is not None
            run.engine.tell(SessionOver("they have left"))

    run.seen.react = react
    ended = run.go()
    assert (ended.status, ended.reason) == (RunStatus.COMPLETED, "")
    assert states(ended) == {"a": "landed"}


def test_a_gate_ends_in_its_own_time_though_they_leave(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws", test_command="sleep 0.3")
    run.seen.react = leaving(run, GateStarted)
    assert run.go().status is RunStatus.COMPLETED


def test_the_grace_time_holds_for_what_they_leave_behind(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws", test_command="sleep 60", grace_seconds=0.3)
    run.seen.react = leaving(run, GateStarted)
    ended = run.go()
    assert ended.status is RunStatus.INTERRUPTED
    assert states(ended) == {"a": "cancelled"}
