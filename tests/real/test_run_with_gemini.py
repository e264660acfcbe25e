"""`maestro run --agent gemini` with the real CLI and a scripted model: from tasks to landed commits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import Steps, prompt

pytestmark = [pytest.mark.real("gemini"), pytest.mark.timeout(180)]


def writes(name: str) -> Steps:
    return [
        {"write": {"path": name, "content": f"{name}\n"}},
        {"bash": f"git add -A && git commit -qm 'Add {name}'"},
        {"say": "done"},
    ]


def test_tasks_land_a_refused_one_does_not_and_nothing_of_the_user_s_is_touched(
    repo: Repository, server: ModelServer, real: dict[str, Path], hermetic: Path, tmp_path: Path
) -> None:
    tasks = [
        {"id": "a", "description": prompt(writes("a.txt"))},
        {"id": "b", "description": prompt(writes("b.txt")), "dependencies": ["a"]},
        {"id": "c", "description": prompt([{"status": 401, "times": 0, "message": "who are you?"}])},
    ]
    backlog, config = tmp_path / "tasks.json", tmp_path / "config.toml"
    backlog.write_text(json.dumps(tasks))
    config.write_text(f'[agents.gemini]\nbase_url = "{server.url}"\nprivate_home = true\nmodel = "gemini-2.5-pro"\n')
    env = {
        "PATH": f"{real['gemini'].parent}:{os.environ['PATH']}",
        "GEMINI_API_KEY": "fake-key",
        "TMPDIR": str(tmp_path),
    }
    said = maestro(
        "--config", str(config), "run", "--tasks-file", str(backlog), "--agent", "gemini", "--no-tests", "--json",
        cwd=repo.path, env=env, timeout_seconds=150,
    )  # fmt: skip
    assert said.code == 1, said.err
    assert said.statuses() == {"a": "landed", "b": "landed", "c": "failed"}
    assert {"a.txt", "b.txt"} <= set(repo.files(said.json["integration_branch"]))
    assert "401 who are you?" in said.json["tasks"]["c"]["reason"]
    assert 401 in [seen.status for seen in server.requests]
    assert {seen.api_key for seen in server.requests} == {"fake-key"}
    assert repo.git("status", "--porcelain") == ""
    assert not list(hermetic.glob(".gemini/tmp/*/chats")), "conversations stay with the workspace"
