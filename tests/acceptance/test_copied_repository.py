"""A repository that was copied with its `.flow`, and one with several worktrees: runs of the other are left alone."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.proc.family import ProcessId, census
from maestro.testing.commandline import maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started

Start = Callable[..., Started]
QUICK = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.3", "MAESTRO_STOP_TERMINATE_SECONDS": "0.3"}


@pytest.fixture
def run_id() -> str:
    """One that nobody else on this machine has."""
    return f"r-{secrets.token_hex(4)}"


@pytest.fixture
def waits(tmp_path: Path) -> str:
    here, go = tmp_path / "here", tmp_path / "go"
    return f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'


def agents_of(run_id: str) -> list[ProcessId]:
    return [one for marker, family in census().items() if f"/{run_id}/task" in marker for one in family]


def copy_of(repo: Repository, to: Path) -> Path:
    """Without files that a run is just writing, which may be gone before they are copied."""
    shutil.copytree(repo.path, to, symlinks=True, ignore=shutil.ignore_patterns(".*.tmp"))
    return to


def spawned(repo: Repository, run_id: str) -> bool:
    """Whether the run has written down that its agent is at work; it writes nothing more until that ends."""
    return b"attempt_spawned" in (repo.path / ".flow/maestro/runs" / run_id / "journal.jsonl").read_bytes()


@pytest.mark.parametrize("is_alive", [True, False], ids=["live", "dead"])
def test_the_runs_of_the_original_are_left_alone(
    is_alive: bool, repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    one = start([{"id": "task"}], "--run-id", run_id, agent=waits)
    one.until(tmp_path / "here")
    until(lambda: spawned(repo, run_id))
    if not is_alive:
        one.process.kill()
        one.end()
    agent = min(agents_of(run_id), key=lambda one: one.started)  # the others may be its `sleep` of that moment
    copy = copy_of(repo, tmp_path / "the copy")
    shown = maestro("cleanup-orphans", "--json", cwd=copy)
    assert shown.code == 0, shown.err
    assert shown.json["orphans"] == []
    assert f"run {run_id} belongs to {repo.path}" in shown.json["spared"][0]
    said = maestro("cleanup-orphans", "--force", cwd=copy, env=QUICK)
    assert said.code == 0, said.err
    assert f"Run {run_id} belongs to {repo.path}" in said.err
    assert maestro("clean", "--force", cwd=copy).code == 0
    for words in (["cleanup-orphans", "--force"], ["resume"]):
        refused = maestro(*words, "--run-id", run_id, cwd=copy, env=QUICK)
        assert refused.code == 2, refused.err
        assert "of which this repository is a copy" in refused.err
    assert agent in agents_of(run_id)
    (tmp_path / "go").touch()
    said = one.end() if is_alive else maestro("resume", "--run-id", run_id, "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.statuses() == {"task": "landed"}


def test_a_copy_can_run_while_the_original_died(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    """Agents of the original's work on its tasks, not on those of the copy."""
    repo.commit({"tasks.json": json.dumps({"tasks": [{"id": "task"}]})})
    one = start([{"id": "task"}], "--run-id", run_id, "--tasks-file", str(repo.path / "tasks.json"), agent=waits)
    one.until(tmp_path / "here")
    one.process.kill()
    one.end()
    copy = copy_of(repo, tmp_path / "copy")
    words = ["--tasks-file", "tasks.json", "--agent-command", WRITES_ONE_FILE, "--no-tests", "--json"]
    said = maestro("run", *words, cwd=copy)
    assert said.code == 0, said.err
    assert agents_of(run_id)
    maestro("cleanup-orphans", "--force", cwd=repo.path, env=QUICK)
    until(lambda: not agents_of(run_id))


def test_a_repository_that_was_moved_keeps_its_runs(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    one = start([{"id": "task"}], "--run-id", run_id, agent=waits)
    one.until(tmp_path / "here")
    one.process.kill()
    one.end()
    moved = repo.path.rename(tmp_path / "moved")
    copy = copy_of(Repository(moved), tmp_path / "copy of the moved one")
    assert maestro("cleanup-orphans", "--force", cwd=moved, env=QUICK).code == 0
    until(lambda: not agents_of(run_id))
    assert copy.is_dir()


def test_a_live_run_of_another_worktree_with_the_same_workspaces(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    """All worktrees of a repository share its branches; each keeps its own runs."""
    beside = tmp_path / "beside"
    repo.git("worktree", "add", "-q", "-b", "beside", str(beside))
    shared = {"MAESTRO_WORKSPACE_ROOT": str(tmp_path / "shared")}
    words = ["--run-id", run_id, "--workspace", "clone"]
    one = start([{"id": "task"}], *words, agent=f"cd /; {waits.partition('; echo')[0]}", cwd=beside, env=shared)
    one.until(tmp_path / "here")
    before = repo.git("for-each-ref", "refs/heads/maestro"), sorted((tmp_path / "shared" / run_id).iterdir())
    for command in ("clean", "cleanup-orphans"):
        said = maestro(command, "--force", cwd=repo.path, env={**shared, **QUICK})
        assert said.code == 0, said.err
        after = repo.git("for-each-ref", "refs/heads/maestro"), sorted((tmp_path / "shared" / run_id).iterdir())
        assert after == before, said.out
    (tmp_path / "go").touch()
    one.end()
