"""Runs that are interrupted, refused or robbed: they end, say why, and lose nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from maestro.agents.base import Heard, Verdict
from maestro.agents.command import CommandAgent, CommandOptions
from maestro.engine.messages import Interrupted
from maestro.errors import WorkspaceError
from maestro.executors.base import Executor, Running
from maestro.model.events import Event, GroupMoved, Landed, RunStarted
from maestro.model.task import Progress, Task
from maestro.proc.request import MARKER, ProcessRequest
from maestro.proc.roles import GATE
from maestro.testing.repository import Repository
from tests.conftest import is_over
from tests.integration.engine_runs import WRITES, EngineRun, states


class Usage(NamedTuple):
    """As shutil.disk_usage says it."""

    total: int
    used: int
    free: int


def test_landed_work_stays_reachable_when_somebody_deletes_the_integration_branch(
    repo: Repository, tmp_path: Path
) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws")

    def delete(event: Event) -> None:
        if isinstance(event, Landed):
            repo.git("update-ref", "-d", "refs/heads/integration/r")

    run.seen.react = delete
    ended = run.go()
    assert ended.status == "blocked"
    assert "integration/r" in ended.reason
    assert repo.files("maestro/r/a") == ["README.md", "out-a.txt"]


def test_nothing_starts_when_the_interrupt_came_before_the_first_task(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a"), Task(id="b")], tmp_path / "ws")

    def interrupt(event: Event) -> None:
        if isinstance(event, RunStarted):
            assert run.engine is not None
            run.engine.tell(Interrupted(1, "interrupted"))

    run.seen.react = interrupt
    ended = run.go()
    assert ended.status == "interrupted"
    assert states(ended) == {"a": "pending", "b": "pending"}
    assert run.tracker.writes == []


def test_a_second_interrupt_ends_the_refresh_of_a_group(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a", group="x")], tmp_path / "ws", refresh_command="sleep 100")

    def interrupt(event: Event) -> None:
        if isinstance(event, GroupMoved) and event.phase == "pre_execution" and event.status == "in_progress":
            assert run.engine is not None
            run.engine.tell(Interrupted(1, "interrupted"))
            run.engine.tell(Interrupted(2, "interrupted twice"))

    run.seen.react = interrupt
    begin = time.monotonic()
    ended = run.go()
    assert time.monotonic() - begin < 20
    assert ended.status == "interrupted"
    assert ended.groups["x"].status == "blocked"
    assert states(ended) == {"a": "pending"}


def test_a_task_the_tracker_refuses_is_not_given_back_by_us(repo: Repository, tmp_path: Path) -> None:
    """Somebody else may have it: to open it again would take it away from them."""
    run = EngineRun(repo, [Task(id="a"), Task(id="b", dependencies=("a",)), Task(id="c")], tmp_path / "ws")
    run.tracker.fail("claim")
    ended = run.go()
    assert states(ended) == {"a": "blocked", "b": "blocked", "c": "landed"}
    assert [(task, progress) for task, progress, _ in run.tracker.writes] == [
        ("c", Progress.IN_PROGRESS),
        ("c", Progress.DONE),
    ]
    assert ended.status == "blocked"


def test_a_refused_claim_of_the_only_task_ends_the_run(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, [Task(id="a")], tmp_path / "ws")
    run.tracker.fail("claim")
    assert run.go().status == "blocked"


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_full_disk_waits_for_workspaces_to_go(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    root = tmp_path / "ws"

    def usage(_: Path) -> Usage:
        return Usage(1 << 40, 0, 0 if list(root.glob("**/task-*")) else 1 << 40)

    monkeypatch.setattr("maestro.resources.machine.shutil.disk_usage", usage)
    tasks = [Task(id=name) for name in "abc"]
    run = EngineRun(repo, tasks, root, min_free_disk_mb=1, max_parallel=parallel, agent=f"sleep 0.1; {WRITES}")
    ended = run.go()
    assert states(ended) == dict.fromkeys("abc", "landed"), ended.reason
    if parallel > 1:
        assert any("free" in warning for warning in ended.warnings)


def test_a_disk_that_stays_full_stops_the_run(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maestro.resources.machine.shutil.disk_usage", lambda _: Usage(1, 1, 0))
    ended = EngineRun(repo, [Task(id="a")], tmp_path / "ws", min_free_disk_mb=1).go()
    assert ended.status == "blocked"
    assert "free" in ended.reason


@pytest.mark.parametrize("then", ["exit 3", "rm -rf ../.agent-state; touch ../.agent-state"])
def test_a_setup_leaves_no_process_behind_when_no_agent_follows(repo: Repository, tmp_path: Path, then: str) -> None:
    pid = tmp_path / "pid"
    setup = f"sleep 100 & echo $! > {pid}; {then}"
    ended = EngineRun(repo, [Task(id="a")], tmp_path / "ws", setup=[setup], attempts=1).go()
    assert states(ended) == {"a": "failed"}
    assert is_over(int(pid.read_text()))


class Confused:
    """A reader with a bug."""

    ended = False
    heard = Heard.NOTHING

    def feed(self, chunk: bytes) -> tuple[str, ...]:
        raise AssertionError(chunk)

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        raise ValueError(f"cannot make sense of {exit_code}{stderr_tail}")


def test_a_bug_met_by_one_task_does_not_end_the_others(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = CommandAgent.reader
    readers = iter([Confused(), *(real(CommandAgent(CommandOptions(command="true"))) for _ in range(3))])
    monkeypatch.setattr(CommandAgent, "reader", lambda _: next(readers))
    run = EngineRun(repo, [Task(id="a"), Task(id="b")], tmp_path / "ws", attempts=1, max_parallel=1)
    ended = run.go()
    assert states(ended) == {"a": "failed", "b": "landed"}
    assert "internal error: ValueError: cannot make sense of 0" in ended.tasks["a"].reason
    assert repo.files(ended.tasks["a"].saved_ref or "") == ["README.md", "out-a.txt"]
    assert "Traceback" in caplog.text


class Hiccup:
    """An executor that cannot start the first set-up of the gate's workspace."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._due = True

    async def start(self, request: ProcessRequest) -> Running:
        if self._due and f"/{GATE}/setup" in request.env[MARKER]:
            self._due = False
            raise WorkspaceError("no process can be started at the moment")
        return await self._executor.start(request)


def test_a_gate_whose_setup_could_not_start_is_set_up_anew(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(
        repo, [Task(id="a")], tmp_path / "ws", setup=["touch ../ready"], test_command="[ -e ../ready ]", attempts=1
    )
    run.replace(executor=Hiccup(run.context.executor))
    assert states(run.go()) == {"a": "landed"}
