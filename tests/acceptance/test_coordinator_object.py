"""The public object as a library (C-2)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.coordinator import GroupMetadata, GroupPhase, ParallelCoordinator, TaskStatus
from maestro.errors import BadInput, StateError
from maestro.testing.commandline import command_line
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE


def test_detecting_groups_works_outside_of_a_repository(tmp_path: Path) -> None:
    tasks = [{"id": "a", "title": "[P:Group-x-1] one"}, {"id": "b"}]
    groups = ParallelCoordinator(tmp_path).detect_groups(tasks)
    assert list(groups) == ["x-1", "_sequential"]
    assert groups["x-1"][0] is tasks[0]


def test_a_group_is_executed_and_its_metadata_returned(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.path)
    monkeypatch.setenv("MAESTRO_AGENT_COMMAND", WRITES_ONE_FILE)
    monkeypatch.setenv("MAESTRO_NO_TESTS", "true")
    coordinator = ParallelCoordinator()
    group = coordinator.execute_parallel_group([{"id": "a", "title": "one"}, {"id": "b"}], "mine")
    assert isinstance(group, GroupMetadata)
    assert group.status == "completed"
    assert group.phase is GroupPhase.POST_EXECUTION
    assert [one.status for one in group.results] == [TaskStatus.COMPLETED, TaskStatus.COMPLETED]
    assert coordinator.wait_for_group_completion("mine", 1) == group
    assert coordinator.refresh_context_before_group() is False
    assert repo.git("status", "--porcelain") == ""


def test_the_refresh_command_is_run_for_real(repo: Repository) -> None:
    environ = {"PATH": "/usr/bin:/bin", "MAESTRO_AGENT_COMMAND": "true"}
    coordinator = ParallelCoordinator(repo.path, environ={**environ, "MAESTRO_REFRESH_COMMAND": "echo context > seen"})
    assert coordinator.refresh_context_before_group() is False  # it printed nothing
    (repo.path / "seen").unlink()
    coordinator = ParallelCoordinator(repo.path, environ={**environ, "MAESTRO_REFRESH_COMMAND": "echo context"})
    assert coordinator.refresh_context_before_group() is True
    coordinator = ParallelCoordinator(repo.path, environ={**environ, "MAESTRO_REFRESH_COMMAND": "echo x; exit 3"})
    assert coordinator.refresh_context_before_group() is False


def test_waiting_for_a_group_nobody_knows_is_refused(repo: Repository) -> None:
    with pytest.raises(BadInput, match="no run here knows"):
        ParallelCoordinator(repo.path).wait_for_group_completion("nope", 1)


def test_waiting_gives_up_in_time_returns_at_the_end_and_never_waits_for_the_dead(
    repo: Repository, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"id": "a", "title": "[P:Group-g] x"}]))
    go = tmp_path / "go"
    agent = f"until [ -e {go} ]; do sleep 0.02; done; {WRITES_ONE_FILE}"
    run = subprocess.Popen(
        command_line("execute", "--group-id", "g", "--tasks-file", str(tasks), "--agent-command", agent, "--no-tests"),
        cwd=repo.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    coordinator = ParallelCoordinator(repo.path)
    metadata = repo.path / ".flow/maestro/parallel_groups/g/metadata.json"
    try:
        while not metadata.exists() or json.loads(metadata.read_text())["status"] != "in_progress":
            assert run.poll() is None
        assert coordinator.wait_for_group_completion("g", 0.2) is None
        go.touch()
        ended = coordinator.wait_for_group_completion("g", 30)
        assert ended is not None
        assert ended.status == "completed"
    finally:
        run.wait(30)
    dead = json.loads(metadata.read_text())
    dead["status"] = "in_progress"
    metadata.write_text(json.dumps(dead))
    with pytest.raises(StateError, match="has died"):
        coordinator.wait_for_group_completion("g", 30)


def test_the_module_runs_as_a_program() -> None:
    said = subprocess.run([sys.executable, "-m", "maestro", "--version"], capture_output=True, text=True)
    assert said.returncode == 0
    assert said.stdout.startswith("maestro ")
