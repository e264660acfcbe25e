"""A resumed run and its backlog: what others did to it while nobody worked (E-6). Beads: tests/real."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started
from tests.acceptance.resuming import Scene


class Backlog:
    """One format of a backlog of two tasks, of which the second waits for the first."""

    def __init__(self, kind: str, repo: Repository, folder: Path) -> None:
        self.kind = kind
        self.path = folder / ("tasks.md" if kind == "markdown" else "tasks.json")
        self.first, self.second = ("T001", "T002") if kind == "markdown" else ("1", "2")
        if kind == "markdown":
            self.path.write_text("# Tasks\n\n- [ ] T001 first\n- [ ] T002 second (depends on T001)\n")
        elif kind == "taskmaster":
            self.path = repo.path / ".taskmaster/tasks/tasks.json"
            self.path.parent.mkdir(parents=True)
            self.path.write_text(json.dumps({"master": {"tasks": self._tasks(int)}}))
            repo.git("add", "-A")
            repo.git("commit", "-qm", "a backlog")
        else:
            self.path.write_text(json.dumps({"tasks": self._tasks(str)}))

    def _tasks(self, as_id: Callable[[str], Any]) -> list[dict[str, Any]]:
        first = {"id": as_id("1"), "title": "first", "status": "pending", "dependencies": []}
        return [first, {"id": as_id("2"), "title": "second", "status": "pending", "dependencies": [as_id("1")]}]

    def flags(self) -> list[str]:
        if self.kind == "taskmaster":
            return ["--tracker", "taskmaster"]
        more = {"markdown": ["--tracker", "markdown"], "write-back": ["--write-back"], "taskfile": []}[self.kind]
        return ["--tasks-file", str(self.path), *more]

    def set(self, task: str, done: bool) -> None:
        """A person's change."""
        if self.kind == "markdown":
            was, now = (" ", "x") if done else ("x", " ")
            self.path.write_text(self.path.read_text().replace(f"[{was}] {task}", f"[{now}] {task}"))
            return
        content = json.loads(self.path.read_text())
        for one in self._entries(content):
            if str(one["id"]) == task:
                one["status"] = "done" if done else "pending"
        self.path.write_text(json.dumps(content))

    def is_done(self, task: str) -> bool:
        if self.kind == "markdown":
            return f"[x] {task}" in self.path.read_text()
        entries = self._entries(json.loads(self.path.read_text()))
        return any(str(one["id"]) == task and one["status"] == "done" for one in entries)

    def _entries(self, content: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = content["master"]["tasks"] if "master" in content else content["tasks"]
        return found


@pytest.fixture
def scene(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> Scene:
    return Scene(repo, start, tmp_path)


def die(scene: Scene, backlog: Backlog, waits_for: str, agent: str | None = None) -> None:
    """A run over the backlog whose coordinator is killed while the agent of one task works."""
    agent = agent or scene.agent()
    argv = ["run", "--run-id", "it", "--no-tests", "--json", "--agent-command", agent, *backlog.flags()]
    started = Started(argv, scene.repo.path, None)
    started.until(scene.folder / f"here-{waits_for}")
    scene.until(lambda: waits_for in scene.pids())
    scene.kill(started)


WRITABLE = ["write-back", "taskmaster", "markdown"]


@pytest.mark.parametrize("kind", WRITABLE)
def test_what_is_closed_and_has_not_landed_is_opened_again_and_done(scene: Scene, kind: str) -> None:
    backlog = Backlog(kind, scene.repo, scene.folder)
    die(scene, backlog, backlog.first)
    backlog.set(backlog.second, True)
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    expected = f"the tracker had {backlog.second} as done, but it has not landed: it was opened again"
    assert expected in said.json["warnings"]
    assert scene.starts() == [backlog.first, backlog.second]
    assert backlog.is_done(backlog.first)
    assert backlog.is_done(backlog.second)


def test_a_word_in_a_file_that_maestro_does_not_write_stands(scene: Scene) -> None:
    """Nobody but a person can have written it; neither what waits nor what runs is done over their heads."""
    backlog = Backlog("taskfile", scene.repo, scene.folder)
    die(scene, backlog, backlog.first)
    backlog.set(backlog.first, True)
    backlog.set(backlog.second, True)
    scene.let_go()
    scene.until(lambda: not scene.markers())  # or it may be stopped before it has done its work
    said = scene.resume()
    assert (said.code, said.statuses()) == (3, {"1": "blocked", "2": "blocked"}), said.err
    assert "the backlog itself has 1 as done, so somebody has closed it" in said.json["tasks"]["1"]["reason"]
    assert "opened again" not in "".join(said.json["warnings"])
    assert "out-1.txt" in scene.repo.files(said.json["tasks"]["1"]["saved_ref"])
    assert scene.starts() == ["1"]


@pytest.mark.parametrize("kind", [*WRITABLE, "taskfile"])
def test_a_landed_task_that_somebody_opens_again_is_not_done_twice(scene: Scene, kind: str) -> None:
    backlog = Backlog(kind, scene.repo, scene.folder)
    scene.let_go(backlog.first)
    die(scene, backlog, backlog.second)
    if backlog.is_done(backlog.first):
        backlog.set(backlog.first, False)
    scene.let_go()
    said = scene.resume()
    assert (said.code, set(said.statuses().values())) == (0, {"landed"}), said.err
    assert scene.starts() == [backlog.first, backlog.second]
    assert not backlog.is_done(backlog.first) or kind in WRITABLE


@pytest.mark.parametrize("kind", WRITABLE)
def test_what_landed_while_the_backlog_was_away_is_closed_afterwards(scene: Scene, kind: str) -> None:
    """The tracker refused when it was told; it is told again by whoever resumes the run."""
    backlog = Backlog(kind, scene.repo, scene.folder)
    away = backlog.path.with_name("away")
    hides = f'[ "$MAESTRO_TASK_ID" = {backlog.second} ] || mv "{backlog.path}" "{away}"; '
    argv = ["run", "--run-id", "it", "--no-tests", "--json", "--agent-command", hides + WRITES_ONE_FILE]
    started = Started([*argv, *backlog.flags()], scene.repo.path, None)
    scene.until(lambda: any(one["error"] for one in scene.events("tracker_written") if one["progress"] == "done"))
    scene.kill(started)
    scene.reboot()
    away.rename(backlog.path)
    said = scene.resume()
    assert said.statuses()[backlog.first] == "landed", said.err
    assert "tracker_error" not in said.json["tasks"][backlog.first]
    assert backlog.is_done(backlog.first)


def test_what_another_run_landed_meanwhile_is_not_landed_again(scene: Scene) -> None:
    backlog = Backlog("taskfile", scene.repo, scene.folder)
    die(scene, backlog, backlog.first)
    scene.reboot()
    argv = ["run", "--run-id", "other", "--no-tests", "--json", "--agent-command", WRITES_ONE_FILE, *backlog.flags()]
    other = scene.maestro(*argv)
    assert (other.code, set(other.statuses().values())) == (0, {"landed"}), other.err
    scene.let_go()
    said = scene.resume("--run-id", "it")
    assert (said.code, set(said.statuses().values())) == (3, {"blocked"}), said.err
    for task in ("1", "2"):
        assert "run other has landed it meanwhile on integration/other" in said.json["tasks"][task]["reason"]
    assert scene.starts() == ["1"]
    assert scene.repo.files("integration/it") == ["README.md"]
