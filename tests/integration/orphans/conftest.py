"""What dead runs leave, made by hand: journals, workspaces, processes, and a look at them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maestro.model.events import (
    AttemptStarting,
    Event,
    RunStarted,
)
from maestro.proc.ladder import Graces
from maestro.store.layout import Layout
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.wiring.orphans.find import find_orphans
from maestro.wiring.orphans.kinds import Kind
from maestro.wiring.orphans.scene import Scene
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.registry import open_workspaces

COMMIT = "echo x > x; git add x; git commit -qm x"
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN = secrets.token_hex(4)  # other workers run the same tests at the same time


def started(repo: Repository, run_id: str, *tasks: str, tracker: str = "none:x") -> RunStarted:
    return RunStarted(
        at=AT,
        run_id=run_id,
        maestro_version="0",
        repository=str(repo.path),
        base=repo.head,
        base_branch="main",
        integration_branch=f"integration/{run_id}",
        tracker=tracker,
        schedule="dataflow",
        max_parallel=1,
        max_parallel_reason="",
        tasks=tasks,
    )


def starting(repo: Repository, root: Path, run_id: str, task: str) -> AttemptStarting:
    return AttemptStarting(
        at=AT,
        task=task,
        attempt=1,
        attempt_id=f"{TOKEN}/{run_id}/{task}/1",
        agent="command",
        base=repo.head,
        workspace=str(root / run_id / f"task-{task}"),
        branch=f"maestro/{run_id}/{task}",
    )


@pytest.fixture
def layout(repo: Repository) -> Layout:
    return Layout(repo.path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "workspaces"


@pytest.fixture
def blueprint_root(tmp_path: Path) -> Path:
    """Where the runs were told to make workspaces, which need not be what is configured now."""
    return tmp_path / "told"


@pytest.fixture
def write(layout: Layout, blueprint_root: Path) -> Callable[..., Path]:
    """A run's folder: its journal, and what else is given."""

    def go(run_id: str, *events: Event, summary: dict[str, Any] | None = None, token: str | None = TOKEN) -> Path:
        folder = layout.run(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        lines = ['{"journal": "maestro", "version": 1}', *(event.model_dump_json() for event in events)]
        layout.journal(run_id).write_text("\n".join(lines) + "\n")
        if token is not None:
            blueprint = {"version": 1, "token": token, "settings": {}, "root": str(blueprint_root / run_id)}
            layout.blueprint(run_id).write_text(json.dumps(blueprint))
        if summary is not None:
            layout.summary(run_id).write_text(json.dumps(summary))
        return folder

    return go


@pytest.fixture
def scene(repo: Repository, layout: Layout, root: Path) -> Callable[[], Scene]:
    """A fresh look at the repository."""

    def look() -> Scene:
        return Scene(
            git=open_repository(repo.path),
            layout=layout,
            root=root,
            environ=os.environ,
            now=datetime.now(UTC),
            graces=Graces(interrupt_seconds=2, terminate_seconds=2),
        )

    return look


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """A process with these variables."""
    children: list[subprocess.Popen[bytes]] = []

    def begin(**env: str) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen(["sleep", "1000"], cwd=tmp_path, env={**os.environ, **env}))
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.wait()


def make(
    repo: Repository, root: Path, run_id: str, task: str, commands: str = "true", kind: str = "worktree"
) -> Workspace:
    workspaces = open_workspaces(kind, git=open_repository(repo.path), root=root / run_id)
    branch = f"maestro/{run_id}/{task}"
    spec = WorkspaceSpec(run_id=run_id, task_id=task, task_name=task, attempt=1, base=repo.head, branch=branch)
    workspace = workspaces.create(spec)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    subprocess.run(["sh", "-ec", commands], cwd=workspace.repo, env=env, check=True)
    return workspace


def reasons(scene: Scene, kind: Kind) -> list[str]:
    return [f"{one.what}: {one.reason}" for one in find_orphans(scene).orphans if one.kind is kind]


def kinds(scene: Scene) -> list[str]:
    return [one.kind.value for one in find_orphans(scene).orphans]
