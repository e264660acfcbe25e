"""What is saved is listed, and goes after the days that the user sets, never before and never a dead run's (W-6)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maestro.model.events import Event, RunEnded, RunStarted
from maestro.model.ids import safe_name
from maestro.model.states import RunStatus
from maestro.store.layout import Layout
from maestro.testing.repository import IDENTITY, Repository
from maestro.vcs.git import Git
from maestro.wiring.retention import list_saved, note_saving
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.registry import open_workspaces

NOW = datetime.now(UTC)


def started(run_id: str, *tasks: str) -> RunStarted:
    return RunStarted(
        at=NOW - timedelta(days=400),
        run_id=run_id,
        maestro_version="0",
        repository="/r",
        base="b",
        base_branch="main",
        integration_branch=f"integration/{run_id}",
        tracker="none:x",
        schedule="dataflow",
        max_parallel=1,
        max_parallel_reason="",
        tasks=tasks,
    )


@pytest.fixture
def ended(write_run: Callable[..., Path], layout: Layout) -> Callable[..., Path]:
    """A run that ended so many days ago, with what became of its tasks."""

    def go(run_id: str, days: float, **tasks: str) -> Path:
        at = NOW - timedelta(days=days)
        status = "completed" if set(tasks.values()) <= {"landed"} else "failed"
        entries = {task: {"status": one, "attempts": 1} for task, one in tasks.items()}
        events: list[Event] = [started(run_id, *tasks), RunEnded(at=at, status=RunStatus(status))]
        folder = write_run(run_id, events, {"run_id": run_id, "status": status, "tasks": entries})
        os.utime(layout.summary(run_id), (at.timestamp(), at.timestamp()))
        return folder

    return go


@pytest.fixture
def save(repo: Repository) -> Callable[..., str]:
    """A saved ref whose commit is as old."""

    def go(run_id: str, task: str, days: float = 1000) -> str:
        tree = repo.git("rev-parse", "HEAD^{tree}")
        date = f"{int((NOW - timedelta(days=days)).timestamp())} +0000"
        at = {**IDENTITY, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
        made = Git(repo.path).text("commit-tree", tree, "-p", "HEAD", "-m", f"work of {task}", env=at)
        repo.git("update-ref", f"refs/maestro/saved/{run_id}/{task}", made)
        return made

    return go


def saved(repo: Repository) -> list[str]:
    listed = repo.git("for-each-ref", "--format=%(refname)", "refs/maestro/saved")
    return [ref.removeprefix("refs/maestro/saved/") for ref in listed.splitlines()]


def test_the_list(cli: Any, ended: Callable[..., Path], save: Callable[..., str]) -> None:
    assert cli("clean", "--saved").out == "0 pieces of work saved (0 KB).\n"
    ended("r1", 3, **{"a b": "failed"})
    commit = save("r1", "a-b__ff5c0b5a0fbf9d1c", 5)
    save("r2", "t-2", 5)
    said = cli("clean", "--saved")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["r1", "r2"]
    assert f"{NOW - timedelta(days=5):%Y-%m-%d %H:%M}" in lines[0]
    assert "refs/maestro/saved/r2/t-2" in lines[1]
    assert lines[1].endswith("work of t-2")
    assert lines[2].startswith("2 pieces of work saved (")
    entries = cli("clean", "--saved", "--json").json()["saved"]
    assert entries[0]["commit"] == commit
    assert set(entries[0]) == {"ref", "run_id", "task", "commit", "date", "size_bytes", "subject"}
    assert entries[0]["size_bytes"] > 0
    assert [one["run_id"] for one in cli("clean", "--saved", "--json", "--run-id", "r2").json()["saved"]] == ["r2"]


def test_the_task_of_a_ref_is_the_id_that_the_user_knows(
    layout: Layout, repo: Repository, ended: Callable[..., Path], save: Callable[..., str]
) -> None:
    ended("r1", 3, **{"a b": "failed", "t": "failed"})
    for name in (safe_name("a b"), "t", "t-2", "unknown"):
        save("r1", name)
    assert sorted(one.task for one in list_saved(Git(repo.path), layout)) == ["a b", "t", "t", "unknown"]


def test_for_ever_by_default(cli: Any, repo: Repository, ended: Callable[..., Path], save: Callable[..., str]) -> None:
    ended("r1", 500, a="failed")
    ended("r2", 500, a="landed")
    save("r1", "a")
    assert cli("clean", "--force", "--json").json()["expired"] == []
    assert cli("cleanup-orphans", "--force", "--json").json()["orphans"] == []
    assert saved(repo) == ["r1/a"]


@pytest.mark.parametrize("command", ["clean", "cleanup-orphans"])
def test_what_is_older_goes_with_force_and_is_said(
    command: str,
    cli: Any,
    repo: Repository,
    layout: Layout,
    ended: Callable[..., Path],
    save: Callable[..., str],
    write_run: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAESTRO_KEEP_SAVED_DAYS", "30")
    ended("old", 31, a="failed")
    ended("new", 29, a="failed")
    ended("young-commit", 31, a="failed")
    write_run("died", [started("died", "a")])
    for run_id in ("old", "new", "died", "unknown"):
        save(run_id, "a")
    save("young-commit", "a", days=2)
    shown = cli(command, "--dry-run")
    assert "refs/maestro/saved/old/a: work of task a" in shown.out
    assert "its run ended more than 30 days ago (keep_saved_days)" in shown.out
    assert "saved/new/a" not in shown.out
    if command == "clean":
        assert cli("clean").code == 0
    assert len(saved(repo)) == 5, "only --force deletes"
    said = cli(command, "--force")
    assert said.code == 0
    assert "refs/maestro/saved/old/a" in said.out
    assert saved(repo) == ["died/a", "new/a", "unknown/a", "young-commit/a"]
    assert layout.journal("old").exists()


def test_work_saved_after_the_end_of_its_run_has_its_own_days(
    cli: Any,
    repo: Repository,
    layout: Layout,
    tmp_path: Path,
    ended: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The commit is old, the run ended long ago, and the workspace was only saved now."""
    monkeypatch.setenv("MAESTRO_KEEP_SAVED_DAYS", "30")
    monkeypatch.setenv("MAESTRO_WORKSPACE_ROOT", str(tmp_path / "w"))
    ended("old", 100, a="failed")
    kind = open_workspaces("worktree", git=Git(repo.path), root=tmp_path / "w" / "old")
    spec = WorkspaceSpec(run_id="old", task_id="a", task_name="a", attempt=1, base=repo.head, branch="maestro/old/a")
    workspace = kind.create(spec)
    date = str(int((NOW - timedelta(days=100)).timestamp())) + " +0000"
    monkeypatch.setenv("GIT_COMMITTER_DATE", date)
    Repository(workspace.repo).commit({"x": "x"})
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    for _ in range(2):
        said = cli("clean", "--force", "--json")
        assert said.json()["expired"] == []
        assert saved(repo) == ["old/a"]
    later = layout.run("old") / "saved-later.json"
    assert NOW - timedelta(minutes=5) < datetime.fromisoformat(json.loads(later.read_text())["at"])
    later.write_text("[]")
    assert [one["removed"] for one in cli("clean", "--force", "--json").json()["expired"]] == [True]
    note_saving(layout, "no-such-run", NOW)
    assert not layout.run("no-such-run").exists()


def test_folders_of_runs_that_landed_everything_go(
    cli: Any,
    repo: Repository,
    layout: Layout,
    alive: Callable[[str], None],
    ended: Callable[..., Path],
    save: Callable[..., str],
    write_run: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAESTRO_KEEP_RUNS_DAYS", "30")
    ended("gone", 31, a="landed", b="landed")
    ended("young", 29, a="landed")
    ended("failed", 31, a="landed", b="failed")
    ended("has-saved", 31, a="landed")
    save("has-saved", "a")
    ended("lives", 31, a="landed")
    alive("lives")
    write_run("died", [started("died", "a")])
    shown = cli("clean", "--dry-run", "--force", "--json").json()["expired"]
    assert shown == [{"kind": "run_folder", "place": "gone", "removed": False}]
    said = cli("clean", "--force")
    assert "the folder of run gone: all of the run has landed, and it ended more than 30 days ago" in said.out
    kept = sorted(path.name for path in layout.runs.iterdir())
    assert kept == ["died", "failed", "has-saved", "lives", "young"]
    assert cli("cleanup-orphans", "--force", "--run-id", "failed").code == 0


def test_a_removal_of_a_run_that_was_broken_off_is_finished(cli: Any, layout: Layout) -> None:
    half = layout.runs / ".removing-old-0123456789ab"
    half.mkdir(parents=True)
    (half / "journal.jsonl").write_text("x")
    assert "removing" not in cli("status").out
    assert "what is left of the folder of a run that was being removed" in cli("cleanup-orphans").out
    assert cli("cleanup-orphans", "--force").code == 0
    assert list(layout.runs.iterdir()) == []


@pytest.mark.parametrize("value", ["0", "-1", "never"])
def test_days_are_a_number(value: str, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAESTRO_KEEP_SAVED_DAYS", value)
    said = cli("clean", "--force")
    assert (said.code, "MAESTRO_KEEP_SAVED_DAYS must be a" in said.err) == (2, True)


def test_a_run_nobody_knows_and_one_that_cannot_be(cli: Any, alive: Callable[[str], None]) -> None:
    said = cli("cleanup-orphans", "--run-id", "nope")
    assert (said.code, "there is no run nope in" in said.err.lower()) == (2, True)
    assert cli("cleanup-orphans", "--run-id", "../x").code == 2
    alive("lives")
    said = cli("cleanup-orphans", "--run-id", "lives", "--json")
    assert said.code == 3
    assert said.json()["error"]["message"] == "Run lives is under way: nothing of it is an orphan."
