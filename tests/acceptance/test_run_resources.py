"""Named resources as a user meets them: agents test under the lock that gates hold, and what the agents of a killed
coordinator hold stays theirs (I-7)."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started

pytestmark = pytest.mark.usefixtures("unharmed")

TESTS = shlex.join(command_line("lock", "tests", "--"))


def inside(told: Path) -> str:
    """A command that tells when it begins and ends."""
    return f"sh -c {shlex.quote(f'echo + >> {told}; sleep 0.1; echo - >> {told}')}"


def configure(repo: Repository, text: str) -> None:
    config = repo.path / ".flow" / "maestro" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)
    (repo.path / ".git" / "info" / "exclude").write_text("/.flow\n")


def test_agents_and_gates_never_test_at_the_same_time(run: Run, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tasks = [{"id": f"t{number}"} for number in range(5)]
    said = run(
        tasks, "--max-parallel", "5", agent=f"{TESTS} {inside(told)} && {WRITES_ONE_FILE}",
        tests=f"{inside(told)}; echo '1 passed'",
    )  # fmt: skip
    assert set(said.statuses().values()) == {"landed"}, said.err
    lines = told.read_text().split()
    assert len(lines) >= 2 * 6
    assert lines == ["+", "-"] * (len(lines) // 2)
    metrics = said.json["metrics"]
    assert metrics["agent_tests"]["runs"] == 5
    assert metrics["resource_waits"]["tests"]["taken"] >= 5
    assert metrics["resource_waits"]["tests"]["longest_seconds"] > 0


def test_what_an_agent_tested_is_told_with_its_task(run: Run, repo: Repository) -> None:
    agent = (
        f"printf 'def test_good(): pass\\ndef test_bad(): assert False\\n' > test_it.py; "
        f'{TESTS} python3 -m pytest -q -p no:cacheprovider; echo "$?" > code; {WRITES_ONE_FILE}'
    )
    said = run([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], agent=agent, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert said.statuses() == {"a": "landed", "b": "landed"}, said.err
    found = said.json["tasks"]["a"]["tests"]
    assert (found["runs"], found["exit_code"], found["passed"], found["failed"]) == (1, 1, 1, 1)
    assert found["failing"] == ["test_it.py::test_bad"]
    shown = maestro("status", "--run-id", said.json["run_id"], "--json", cwd=repo.path).json
    assert shown["tasks"]["a"]["tests"] == found


def test_a_resource_that_is_not_configured_is_refused_before_anything_starts(run: Run, repo: Repository) -> None:
    configure(repo, "[resources]\ndocker = 1\n")
    said = run([{"id": "a", "resources": ["dokcer"]}])
    assert said.code == 2
    assert said.json["error"]["message"] == (
        "Task 'a' wants the resource 'dokcer', which is not configured: did you mean 'docker'?"
    )


class Docker:
    """What `maestro lock docker` says, asked from outside."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def holders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = maestro("lock", "docker", "--status", "--json", cwd=self._repo.path).json[
            "holders"
        ]
        return found

    def take(self) -> Said:
        return maestro("lock", "docker", "--wait", "0.5", "--", "true", cwd=self._repo.path)


def test_what_agents_of_a_killed_coordinator_hold_stays_theirs(
    start: Callable[..., Started], repo: Repository, tmp_path: Path
) -> None:
    configure(repo, "[resources]\ndocker = 1\n")
    docker, told, begun, go_on = Docker(repo), tmp_path / "told", tmp_path / "begun", tmp_path / "go-on"
    agent = (
        f"echo + >> {told}; touch {begun}; while [ ! -e {go_on} ]; do sleep 0.02; done; "
        f"{WRITES_ONE_FILE}; echo - >> {told}"
    )
    tasks = [{"id": "first", "resources": ["docker"]}, {"id": "second", "labels": ["resource:docker"]}]
    run = start(tasks, "--run-id", "it", agent=agent)
    run.until(begun)
    run.send(signal.SIGKILL)
    run.end()
    assert [holder["task"] for holder in docker.holders()] == ["first"]
    assert docker.take().code == 124, "the agent goes on without its coordinator, and has it"
    resumed = Started(["resume", "--run-id", "it", "--json"], repo.path, None)
    try:
        journal = repo.path / ".flow/maestro/runs/it/journal.jsonl"
        deadline = time.monotonic() + 60
        while '"run_resumed"' not in journal.read_text() or '"task":"second"' not in _queued(journal):
            assert time.monotonic() < deadline, journal.read_text()
            time.sleep(0.02)
        assert [holder["task"] for holder in docker.holders()] == ["first"]
        assert docker.take().code == 124
        go_on.touch()
        said = resumed.end()
    finally:
        resumed.process.kill()
        resumed.process.communicate()
    assert said.statuses() == {"first": "landed", "second": "landed"}, said.err
    assert told.read_text().split() == ["+", "-", "+", "-"]
    assert {task: one["attempts"] for task, one in said.json["tasks"].items()} == {"first": 1, "second": 1}
    assert docker.holders() == []
    assert docker.take().code == 0


def _queued(journal: Path) -> str:
    """What waits for a resource since the run was resumed."""
    events = [json.loads(line) for line in journal.read_bytes().split(b"\n")[1:-1]]
    at = max(number for number, event in enumerate(events) if event["type"] in ("run_resumed", "run_started"))
    queued = [event for event in events[at:] if event["type"] == "resource_queued"]
    return json.dumps(queued, separators=(",", ":"))


def test_gates_of_two_runs_take_turns_and_so_do_their_tasks(repo: Repository, tmp_path: Path) -> None:
    configure(repo, '[resources]\nbox = { slots = 1, scope = "machine" }\n')
    told, boxed = tmp_path / "told", tmp_path / "boxed"
    runs = []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps([{"id": f"{name}-{number}", "resources": ["box"]} for number in range(3)]))
        argv = [
            "run", "--run-id", name, "--tasks-file", str(file), "--json", "--max-parallel", "3",
            "--agent-command", f"{inside(boxed)}; {WRITES_ONE_FILE}",
            "--test-command", f"{inside(told)}; echo '1 passed'",
        ]  # fmt: skip
        runs.append(Started(argv, repo.path, None))
    try:
        for said in [run.end(90) for run in runs]:
            assert set(said.statuses().values()) == {"landed"}, said.err
    finally:
        for run in runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.communicate()
    for file, least in ((boxed, 6), (told, 2)):
        lines = file.read_text().split()
        assert len(lines) >= 2 * least
        assert lines == ["+", "-"] * (len(lines) // 2)
