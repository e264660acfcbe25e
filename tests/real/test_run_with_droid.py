"""`maestro run --agent droid` with the real CLI and a scripted model: from a task file to landed commits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository
from tests.real.agent_lab import prompt
from tests.real.test_droid import own_model

pytestmark = [pytest.mark.real("droid"), pytest.mark.timeout(300)]

CONFIGURATION = """\
agent = "droid"
env_allow = ["FACTORY_AIRGAP_ENABLED"]

[agents.droid]
model = "custom:lab-0"
settings = "%s"
"""


def writes(name: str) -> str:
    commit = {"bash": f"git add -A && git commit -qm 'Add {name}'"}
    return prompt([{"write": {"path": name, "content": f"{name}\n"}}, commit, {"say": "done"}])


def test_two_tasks_land_and_a_lie_does_not(repo: Repository, real: dict[str, Path], tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    tasks = [
        {"id": "first", "description": writes("first.txt")},
        {"id": "second", "description": writes("second.txt"), "dependencies": ["first"]},
        {"id": "liar", "description": prompt([{"say": "All done, committed and tested!"}])},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with ModelServer() as server:
        settings.write_text(json.dumps(own_model(server.url)))
        (tmp_path / "config.toml").write_text(CONFIGURATION % settings)
        said = maestro(
            "--config", str(tmp_path / "config.toml"), "run", "--tasks-file", str(tmp_path / "tasks.json"),
            "--no-tests", "--attempts", "1", "--json",
            cwd=repo.path,
            env={"PATH": f"{real['droid'].parent}:{os.environ['PATH']}", "FACTORY_AIRGAP_ENABLED": "1"},
            timeout_seconds=280,
        )  # fmt: skip
    assert said.statuses() == {"first": "landed", "second": "landed", "liar": "failed"}, said.err
    assert said.code == 1
    assert "without a new commit" in said.json["tasks"]["liar"]["reason"]
    assert {"first.txt", "second.txt"} <= set(repo.files(said.json["integration_branch"]))
    assert {one.api_key for one in server.requests} == {"fake-key"}
    assert repo.git("status", "--porcelain") == ""
