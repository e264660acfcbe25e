"""`maestro run --agent opencode` with the real CLI and a scripted model: from a task file to landed commits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import prompt

pytestmark = [pytest.mark.real("opencode"), pytest.mark.timeout(300)]

CONFIGURATION = """\
agent = "opencode"
agent_limits = { opencode = 2 }
env_allow = ["LAB_KEY"]

[agents.opencode]
model = "lab/m1"

[agents.opencode.config.provider.lab]
npm = "@ai-sdk/openai-compatible"
options = { baseURL = "%s/v1", apiKey = "{env:LAB_KEY}" }
models = { m1 = {} }
"""


def writes(name: str) -> str:
    commit = {"bash": f"git add -A && git commit -qm 'Add {name}'"}
    return prompt([{"write": {"path": name, "content": f"{name}\n"}}, commit, {"say": "done"}])


def test_two_tasks_land_and_a_lie_does_not(
    repo: Repository, real: dict[str, Path], tmp_path: Path, hermetic: Path
) -> None:
    (hermetic / ".npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    tasks = [
        {"id": "first", "description": writes("first.txt")},
        {"id": "second", "description": writes("second.txt"), "dependencies": ["first"]},
        {"id": "liar", "description": prompt([{"say": "All done, committed and tested!"}])},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with ModelServer() as server:
        (tmp_path / "config.toml").write_text(CONFIGURATION % server.url)
        said = maestro(
            "--config", str(tmp_path / "config.toml"), "run", "--tasks-file", str(tmp_path / "tasks.json"),
            "--no-tests", "--attempts", "1", "--json",
            cwd=repo.path,
            env={"PATH": f"{real['opencode'].parent}:{os.environ['PATH']}", "LAB_KEY": "fake-key"},
            timeout_seconds=280,
        )  # fmt: skip
    assert said.statuses() == {"first": "landed", "second": "landed", "liar": "failed"}, said.err
    assert said.code == 1
    assert "without a new commit" in said.json["tasks"]["liar"]["reason"]
    assert {"first.txt", "second.txt"} <= set(repo.files(said.json["integration_branch"]))
    assert {one.api_key for one in server.requests} == {"fake-key"}
    assert repo.git("status", "--porcelain") == ""
