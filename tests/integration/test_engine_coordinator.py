"""What the coordinator does around a run: two at once, and a result that is told whatever the disk does (E-8, C-1a)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import maestro.coordinator
from maestro.coordinator import ParallelCoordinator
from maestro.model.events import Event, RunEnded
from maestro.testing.commandline import command_line
from maestro.testing.repository import Repository
from maestro.wiring.backlog import Backlog
from tests.integration.engine_runs import WRITES, Seen


def flags_for(tmp_path: Path) -> dict[str, Any]:
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"id": "a"}, {"id": "b"}]))
    return {
        "tasks_file": str(tasks), "agent_command": WRITES, "no_tests": True, "workspace_root": str(tmp_path / "ws"),
    }  # fmt: skip


def test_what_another_run_lands_while_this_one_plans_is_not_done_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags, go = flags_for(tmp_path), tmp_path / "go"
    waits = f"until [ -e {go} ]; do sleep 0.02; done; {WRITES}"
    argv = ["run", "--tasks-file", flags["tasks_file"], "--agent-command", waits, "--no-tests", "--run-id", "other"]
    other = subprocess.Popen(
        command_line(*argv), cwd=repo.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    while not (repo.path / ".flow/maestro/runs/other/journal.jsonl").exists():
        assert other.poll() is None
    real = maestro.coordinator.plan_backlog

    def plan_then_let_the_other_end(*args: Any, **more: Any) -> Backlog:
        backlog = real(*args, **more)
        go.touch()
        assert other.wait(30) == 0
        return backlog

    monkeypatch.setattr(maestro.coordinator, "plan_backlog", plan_then_let_the_other_end)
    coordinator = ParallelCoordinator(repo.path)
    done = coordinator.run(coordinator.settings(flags))
    assert done.exit_code == 0
    assert {task: one["attempts"] for task, one in done.result["tasks"].items()} == {"a": 0, "b": 0}


def test_the_result_is_told_though_its_summary_cannot_be_written(repo: Repository, tmp_path: Path) -> None:
    seen = Seen()

    def occupy(event: Event) -> None:
        if isinstance(event, RunEnded):
            (repo.path / ".flow/maestro/runs/mine/summary.json/x").mkdir(parents=True)

    seen.react = occupy
    coordinator = ParallelCoordinator(repo.path)
    done = coordinator.run(coordinator.settings(flags_for(tmp_path)), run_id="mine", observers=[seen])
    assert done.exit_code == 0
    assert done.result["status"] == "completed"
    assert "summary.json" in done.result["warnings"][-1]
