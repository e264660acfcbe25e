"""The same run, hit at each of its events in turn: it always ends, leaves no process, and loses no work (E-6, E-7)."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path

import pytest

from maestro.engine.messages import Interrupted
from maestro.errors import StateError
from maestro.integration.queue import LandingQueue
from maestro.model.events import Event
from maestro.model.states import GroupStatus, TaskState
from maestro.model.task import Task
from maestro.proc.family import census
from maestro.testing.repository import Repository, make_repository
from tests.integration.engine_runs import WRITES, EngineRun

TASKS = [Task(id="a", group="x"), Task(id="b", group="x"), Task(id="c", dependencies=("a",))]
"""A group, then a task that waits for it."""


def new_run(folder: Path) -> tuple[Repository, EngineRun]:
    repo = make_repository(folder / "project")
    return repo, EngineRun(
        repo, TASKS, folder / "ws", agent=f"{WRITES}; echo more > more-$MAESTRO_TASK_ID", test_command="true",
        refresh_command="echo context", setup=["true"], stop_interrupt_seconds=0.1, stop_terminate_seconds=0.1,
    )  # fmt: skip


def left(run: EngineRun) -> list[str]:
    return [marker for marker in census() if marker.startswith(run.context.token)]


def wrote(run: EngineRun, task: str) -> bool:
    """Whether the task's agent came to its end, so that there is a commit of it."""
    exits = run.context.layout.attempt("r", task, 1) / "exit"
    return exits.exists() and exits.read_text() == "0\n"


def reachable(repo: Repository, task: str) -> bool:
    """Whether what the task's agent wrote is in any ref."""
    refs = repo.git("for-each-ref", "--format=%(refname)").splitlines()
    return any(f"out-{task}.txt" in repo.files(ref) for ref in refs)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("part", range(4))
def test_an_interrupt_at_any_event_ends_the_run_and_loses_nothing(tmp_path: Path, level: int, part: int) -> None:
    for at in count(part, 4):
        repo, run = new_run(tmp_path / str(at))
        number = count()

        def interrupt(_: Event, at: int = at, run: EngineRun = run, number: count[int] = number) -> None:
            if next(number) == at:
                assert run.engine is not None
                run.engine.tell(Interrupted(level, "hit"))

        run.seen.react = interrupt
        ended = run.go()
        assert left(run) == []
        if at >= len(run.seen.events) - 1:
            assert ended.status == "completed"
            return
        landed = [task.id for task in ended.tasks.values() if task.state is TaskState.LANDED]
        assert ended.status == "interrupted", at
        assert not {task.state for task in ended.tasks.values()} & {TaskState.RUNNING, TaskState.SUBMITTED}, at
        assert {group.status for group in ended.groups.values()} <= {GroupStatus.COMPLETED, GroupStatus.BLOCKED}
        if level == 1:
            assert {task.state for task in ended.tasks.values()} <= {TaskState.LANDED, TaskState.PENDING}, at
        for name in landed:
            assert f"out-{name}.txt" in repo.files("integration/r")
        for task in ended.tasks.values():
            assert not wrote(run, task.id) or task.id in landed or task.saved_ref is not None, (at, task.id)
            assert not wrote(run, task.id) or reachable(repo, task.id), (at, task.id)


@pytest.mark.parametrize("part", range(4))
def test_a_journal_that_cannot_be_written_from_any_event_on_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    for at in count(part, 4):
        repo, run = new_run(tmp_path / str(at))
        number = count()

        def sync(_: int, at: int = at, number: count[int] = number) -> None:
            if next(number) >= at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as full:
            full.setattr(os, "fdatasync", sync)
            try:
                ended = run.go()
            except StateError as error:
                said = error.message
            else:
                assert ended.status == "completed"
                return
        assert "No space left" in said
        assert left(run) == []
        for task in "abc":
            assert not wrote(run, task) or reachable(repo, task), (at, task)


def test_a_landing_queue_that_dies_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(queue: LandingQueue) -> None:
        await queue._wake.wait()
        raise RuntimeError("the queue is dead")

    monkeypatch.setattr(LandingQueue, "run", die)
    repo, run = new_run(tmp_path)
    with pytest.raises(RuntimeError, match="the queue is dead"):
        run.go()
    assert left(run) == []
    assert reachable(repo, "a")
