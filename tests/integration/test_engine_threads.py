"""Blocking work of many attempts goes on at the same time: none waits for a thread (E-4)."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from maestro.coordinator import ParallelCoordinator
from maestro.testing.repository import Repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.worktree import WorktreeWorkspaces
from tests.integration.engine_runs import WRITES

AT_ONCE = 12  # the event loop's own pool has six threads on two cores


def test_all_attempts_make_their_workspaces_at_the_same_time(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(AT_ONCE, timeout=60)
    real = WorktreeWorkspaces.create

    def create(self: WorktreeWorkspaces, spec: WorkspaceSpec) -> Workspace:
        together.wait()
        return real(self, spec)

    monkeypatch.setattr(WorktreeWorkspaces, "create", create)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    tasks = tmp_path / "tasks.json"
    tasks.write_text(json.dumps([{"id": f"t{number}"} for number in range(AT_ONCE)]))
    coordinator = ParallelCoordinator(repo.path)
    flags = {
        "tasks_file": str(tasks), "agent_command": WRITES, "no_tests": True, "max_parallel": AT_ONCE, "attempts": 1,
        "workspace_root": str(tmp_path / "ws"),
    }  # fmt: skip
    done = coordinator.run(coordinator.settings(flags))
    assert {one["status"] for one in done.result["tasks"].values()} == {"landed"}
    assert done.exit_code == 0
