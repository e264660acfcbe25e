"""A rollback that dies at any moment is completed by the same command, and nothing is lost on the way (E-9)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maestro.clock import SystemClock
from maestro.errors import StateError
from maestro.proc import spawned
from maestro.store import landed
from maestro.store.journal import Journal
from maestro.store.layout import Layout
from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git
from maestro.wiring.resuming import read_past
from maestro.wiring.rollback import Rollback, roll_back
from tests.acceptance.conftest import WRITES_ONE_FILE


class Died(BaseException):
    """As after kill -9: nobody catches it, and nothing behind it is done."""


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, moment: int) -> Iterator[list[str]]:
    """Die at the given moment; a moment is before or after anything that is done outside of this process. The acts
    that took place are listed."""
    done: list[str] = []

    def counted(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*args: Any, **more: Any) -> Any:
            if 2 * len(done) == moment:
                raise Died
            result = act(*args, **more)
            done.append(name)
            if 2 * len(done) - 1 == moment:
                raise Died
            return result

        return acting

    recording = Journal.record

    async def record(journal: Journal, *events: Any, **more: Any) -> None:
        if 2 * len(done) == moment:
            raise Died
        await recording(journal, *events, **more)
        done.append("journal")
        if 2 * len(done) - 1 == moment:
            raise Died

    with monkeypatch.context() as patches:
        patches.setattr(spawned, "run", counted("git", spawned.run))
        patches.setattr(os, "replace", counted("file", os.replace))
        patches.setattr(landed, "append", counted("landed", landed.append))
        patches.setattr(Journal, "record", record)
        yield done


def back(repo: Repository) -> Rollback:
    git = Git(repo.path)
    return roll_back(git, Layout(repo.path), "r", "group-B", environ=os.environ, clock=SystemClock(), dry_run=False)


def facts(repo: Repository) -> dict[str, Any]:
    """What must be the same whether it went through at once or in pieces."""
    layout = Layout(repo.path)
    summary = json.loads(layout.summary("r").read_bytes())
    [progress] = layout.progress.glob("*.json")
    lists = [json.loads(line) for line in layout.landed.read_text().splitlines()]
    last = {one["task"]: one["undone"] for one in lists}
    return {
        "branch": repo.git("rev-parse", "integration/r"),
        "status": summary["status"],
        "tasks": {task: (one["status"], one["commit"] is None) for task, one in summary["tasks"].items()},
        "tracker": {task: one["progress"] for task, one in json.loads(progress.read_bytes())["tasks"].items()},
        "undone": last,
        "groups": {path.parent.name: json.loads(path.read_bytes())["status"] for path in layout.groups.glob("*/m*")},
    }


def _would_be_refused(repo: Repository) -> bool:
    """Whether a resume would say that the rollback must be completed first."""
    try:
        read_past(Layout(repo.path), "r")
    except StateError as error:
        return "rollback" in error.message
    return False


@pytest.fixture
def done(tmp_path: Path) -> Repository:
    """A repository in which a run of two groups has landed."""
    repo = make_repository(tmp_path / "template")
    tasks = [{"id": name, "group": group} for name, group in (("a", "A"), ("b", "B"), ("c", "B"))]
    (tmp_path / "tasks.json").write_text(json.dumps({"tasks": tasks}))
    said = maestro("run", "--tasks-file", "../tasks.json", "--json", "--no-tests", "--run-id", "r", "--agent-command",
                   WRITES_ONE_FILE, cwd=repo.path)  # fmt: skip
    assert said.code == 0, said.err
    return repo


@pytest.mark.timeout(300)
def test_rollback_crash_points(done: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    had_landed = done.git("rev-parse", "integration/r")
    whole = Repository(tmp_path / "whole")
    shutil.copytree(done.path, whole.path, symlinks=True)
    back(whole)
    expected = facts(whole)
    assert expected["tasks"] == {"a": ("landed", False), "b": ("pending", True), "c": ("pending", True)}
    moment, refused_to_resume = 0, 0
    while True:
        repo = Repository(tmp_path / "copy")
        shutil.copytree(done.path, repo.path, symlinks=True)
        with dying(monkeypatch, moment) as acts:
            try:
                back(repo)
                break  # no such moment: it went through
            except Died:
                pass
        assert had_landed in repo.git("for-each-ref", "--format=%(objectname)"), f"lost at {moment}, after {acts}"
        refused_to_resume += _would_be_refused(repo)
        back(repo)
        assert facts(repo) == expected, f"died at {moment}, after {acts}"
        assert repo.git("rev-parse", "refs/maestro/saved/r/rollback-group-B") == had_landed
        shutil.rmtree(repo.path)
        moment += 1
    print(f"{moment} moments, at {refused_to_resume} of them a resume would have been refused")
    assert moment > 30
    assert refused_to_resume > 10


def test_another_checkpoint_is_refused_until_the_broken_one_is_complete(
    done: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in range(0, 200, 2):
        with dying(monkeypatch, moment) as acts, pytest.raises(Died):
            back(done)
        if "journal" in acts:
            break
    said = maestro("rollback", "--to", "start", "--json", cwd=done.path)
    assert said.code == 3
    assert "was broken off" in said.json["error"]["message"]
    command = said.json["error"]["hint"].rstrip(".").partition("maestro ")[2].split()
    assert maestro(*command, cwd=done.path).code == 0
    assert maestro("rollback", "--to", "start", "--json", cwd=done.path).code == 0
    assert done.git("rev-parse", "integration/r") == done.head
