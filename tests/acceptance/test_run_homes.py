"""Runs whose agents and tests have another HOME than the user's (I-6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import Started
from tests.acceptance.resuming import Scene

WORKS = 'echo "$HOME" >"home-$MAESTRO_TASK_ID.txt"; touch "$HOME/left"; git add -A; git commit -qm Work'


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([{"id": "a"}, {"id": "b"}]))
    return file


def test_a_private_home_is_each_attempts_own_and_goes_with_it(repo: Repository, tasks: Path, hermetic: Path) -> None:
    tests = 'test "$PIP_CACHE_DIR" = "$USERS/.cache/pip" && touch "$HOME/left" && test "${HOME##*/}" = .agent-home'
    said = maestro(
        "run", "--tasks-file", str(tasks), "--agent-command", WORKS, "--test-command", tests, "--json",
        cwd=repo.path, env={"MAESTRO_HOME": "private", "MAESTRO_ENV_ALLOW": "USERS", "USERS": str(hermetic)},
    )  # fmt: skip
    assert said.code == 0, said.err
    homes = {repo.show(said.json["integration_branch"], f"home-{task}.txt") for task in ("a", "b")}
    assert len(homes) == 2
    assert not any(Path(home).exists() for home in homes)
    assert not (hermetic / "left").exists()


def test_a_named_home_is_one_for_all(repo: Repository, tasks: Path, hermetic: Path, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    config = tmp_path / "config.toml"
    config.write_text(f'home = "private"\n[agents.command]\nhome = "{tmp_path}/agents"\n')
    said = maestro(
        "--config", str(config), "run", "--tasks-file", str(tasks), "--agent-command", WORKS, "--no-tests", "--json",
        cwd=repo.path,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert repo.show(said.json["integration_branch"], "home-a.txt") == str(tmp_path / "agents")
    assert (tmp_path / "agents" / "left").exists()
    assert not (hermetic / "left").exists()


def test_a_home_that_is_not_there_is_refused(repo: Repository, tasks: Path) -> None:
    said = maestro(
        "run", "--tasks-file", str(tasks), "--agent-command", WORKS, "--no-tests", "--json",
        cwd=repo.path, env={"MAESTRO_HOME": "/no/such/folder"},
    )  # fmt: skip
    assert said.code == 2
    assert said.json["error"]["message"] == "home: /no/such/folder is no folder."


def test_an_agent_that_cannot_have_its_home_again_is_not_left_alone(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    scene = Scene(repo, start, tmp_path)
    agent = f'rmdir "$HOME"; ln -s "{tmp_path}" "$HOME"; {scene.agent()}'
    env = {"MAESTRO_HOME": "private"}
    scene.dead([{"id": "a"}], "--attempts", "1", waits_for=("a",), agent=agent, env=env)
    assert scene.markers() != []
    said = scene.resume("--attempts", "1", env=env)
    assert said.json["tasks"]["a"]["status"] == "failed"
    assert "replaced by a link" in said.json["tasks"]["a"]["reason"]
    assert scene.markers() == []
