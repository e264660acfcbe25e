"""Tasks that are called like what a run has besides attempts: nobody's processes are taken for another's (A-4)."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.proc.family import census
from maestro.store.layout import Layout
from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started

NAMES = ("gate", "refresh", "coordinator", "gateway")
KEY = "sk-ant-api03-aaaaaaaaaaaa"

Start = Callable[..., Started]


@pytest.fixture
def run_id() -> str:
    """One that nobody else on this machine has."""
    return f"r-{secrets.token_hex(4)}"


@pytest.fixture
def waits(tmp_path: Path) -> str:
    """An agent that says that it is there, and works when it may go on; `first` does not wait."""
    return (
        f'touch "{tmp_path}/here-$MAESTRO_TASK_ID"; '
        f'until [ "$MAESTRO_TASK_ID" = first ] || [ -e "{tmp_path}/go" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'
    )


def here(tmp_path: Path) -> list[Path]:
    return [tmp_path / f"here-{name}" for name in NAMES]


def agents_of(run_id: str) -> set[str]:
    """The tasks whose agents live."""
    found = [marker.split("/") for marker in census() if f"/{run_id}/" in marker]
    return {name for _, _, name, _ in found if name in NAMES}


def test_tests_and_a_gateway_beside_attempts_of_these_names(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    """What the tests leave is ended after each run of them; the agent of a task `gate` is not."""
    tasks = [{"id": name} for name in (*NAMES, "first")]
    with ModelServer(accepted_keys=[KEY]) as server:
        keys = {"anthropic": {"from_env": ["KEY_A"], "gateway": True, "upstream": server.url}}
        one = start(
            tasks, "--run-id", run_id, "--attempts", "1", "--max-parallel", "5", agent=waits, tests="true",
            env={"KEY_A": KEY, "MAESTRO_KEYS": json.dumps(keys), "MAESTRO_REFRESH_COMMAND": "true"},
        )  # fmt: skip
        one.until(*here(tmp_path))
        journal = Layout(repo.path).journal(run_id)
        until(lambda: '"type":"landed"' in journal.read_text().replace(" ", ""))
        assert agents_of(run_id) == set(NAMES)
        (tmp_path / "go").touch()
        said = one.end()
    assert said.code == 0, said.err
    assert said.statuses() == dict.fromkeys((*NAMES, "first"), "landed")


def test_they_are_counted_and_ended_like_any_other(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    """Nobody waits for the agent of a task `coordinator` as for a git, or spares that of a task `gateway`."""
    one = start([{"id": name} for name in NAMES], "--run-id", run_id, "--max-parallel", "4", agent=waits)
    one.until(*here(tmp_path))
    one.process.kill()
    one.end()
    refused = maestro("run", "--tasks-file", str(tmp_path / "tasks.json"), "--no-tests", "--agent-command", "true",
                      cwd=repo.path)  # fmt: skip
    assert refused.code == 3, refused.err
    assert "4 of its agents still work" in refused.err
    began = time.monotonic()
    done = maestro("cleanup-orphans", "--force", "--json", cwd=repo.path)
    assert done.code == 0, done.err
    assert time.monotonic() - began < 30
    ended = {one["task"] for one in done.json["orphans"] if one["kind"] == "process"}
    assert ended == set(NAMES)
    assert agents_of(run_id) == set()


def test_a_run_that_died_goes_on_with_them(
    repo: Repository, start: Start, waits: str, run_id: str, tmp_path: Path
) -> None:
    one = start([{"id": name} for name in NAMES], "--run-id", run_id, "--max-parallel", "4", agent=waits, tests="true")
    one.until(*here(tmp_path))
    one.process.kill()
    one.end()
    (tmp_path / "go").touch()
    said = maestro("resume", "--run-id", run_id, "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.statuses() == dict.fromkeys(NAMES, "landed")
    assert {task["attempts"] for task in said.json["tasks"].values()} == {1}
