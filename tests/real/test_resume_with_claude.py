"""The real claude outlives its coordinator, and is adopted by the next: landed once, paid for once (E-6, A-7)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.model.budget import Spent
from maestro.model.events import AttemptEnded, AttemptSpawned, AttemptStarting, Event, RunResumed
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.testing.commandline import command_line, maestro
from maestro.testing.model_script import Step
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

STEPS: list[Step] = [
    {"write": {"path": "a.txt", "content": "x\n"}},
    {"bash": "until [ -e go ]; do sleep 0.1; done; rm go; git add -A && git commit -qm work"},
    {"say": "all done"},
]


def steps(_prompt: str, _body: dict[str, Any]) -> list[Step]:
    return STEPS


@pytest.mark.parametrize("ended", [False, True])
def test_claude_is_adopted_while_it_works_or_judged_when_it_has_ended(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path, ended: bool
) -> None:
    server.default = steps
    (tmp_path / "tasks.json").write_text(json.dumps([{"id": "t1", "title": "Write a.txt"}]))
    env = {
        "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "IS_SANDBOX": "1",
    }
    argv = ["run", "--tasks-file", str(tmp_path / "tasks.json"), "--agent", "claude", "--no-tests", "--run-id", "r"]
    process = subprocess.Popen(
        command_line(*argv), cwd=repo.path, env={**os.environ, **env},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    journal = Layout(repo.path).journal("r")

    def events() -> list[Event]:
        return list(read_journal(journal).events) if journal.exists() else []

    try:
        until(lambda: any(isinstance(one, AttemptSpawned) for one in events()))
        (begun,) = [one for one in events() if isinstance(one, AttemptStarting)]
        place = Path(begun.workspace, repo.path.name)
        until((place / "a.txt").exists)
        until(lambda: len(server.requests) >= 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if ended:
        (place / "go").touch()
        until((Layout(repo.path).attempt("r", "t1", 1) / "exit").exists)
        said = maestro("resume", "--json", cwd=repo.path, env=env)
    else:
        resumed = subprocess.Popen(
            command_line("resume", "--json"), cwd=repo.path, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: any(isinstance(one, RunResumed) for one in events()))
        (place / "go").touch()
        assert resumed.wait(90) == 0
        said = maestro("resume", "--run-id", "r", "--json", cwd=repo.path, env=env)
    assert (said.code, said.statuses()) == (0, {"t1": "landed"}), said.err
    assert repo.show("integration/r", "a.txt") == "x"
    assert said.json["tasks"]["t1"]["attempts"] == 1
    (end,) = [one for one in events() if isinstance(one, AttemptEnded)]
    assert end.outcome.usage.session_id is not None
    once = Spent().plus(end.outcome.usage, worked=True)
    assert once.tokens
    assert said.json["metrics"]["tokens"] == once.tokens
    assert said.json["metrics"]["cost_usd"] == pytest.approx(once.cost_usd)
    texts = [str(request.body) for request in server.requests]
    assert sum("all done" in text for text in texts) == 0, "the conversation was not asked to go on after its end"


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
