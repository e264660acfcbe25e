"""The context before a group, by the real claude and its command /flow:summary (E-2)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

CHECKOUT = Path(__file__).parents[2]
ANSWER = "The shop sells tea since Monday.\n" * 3
WORK = [{"bash": "echo $MAESTRO_TASK_ID > $MAESTRO_TASK_ID.txt && git add -A && git commit -qm work"}, {"say": "done"}]


class Model:
    """Answers /flow:summary, and does tasks; `answer` is a step."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"say": ANSWER}
        self.asked: list[str] = []

    def __call__(self, prompt: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        if "<command-name>/flow:summary</command-name>" not in prompt:
            return WORK
        self.asked.append(prompt)
        return [self.answer, {"say": "late"}]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def server(model: Model) -> Iterator[ModelServer]:
    with ModelServer(default=model) as running:
        yield running


class Shop:
    """A repository whose tasks stand in two groups, one after the other."""

    def __init__(self, repo: Repository, folder: Path, server: ModelServer, claude: Path) -> None:
        self.repo = repo
        self.tasks = folder / "tasks.json"
        groups = [{"id": f"t-{name}", "title": f"[P:Group-{name}] make {name}"} for name in ("one", "two")]
        self.tasks.write_text(json.dumps(groups))
        self.env = {
            "PATH": f"{claude.parent}:{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_API_KEY": "fake-key",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "CLAUDECODE": "1",  # as within a session of claude's own
        }

    def run(self, **settings: str) -> Said:
        env = {**self.env, **{f"MAESTRO_{name.upper()}": value for name, value in settings.items()}}
        return maestro(
            "run", "--tasks-file", str(self.tasks), "--agent", "claude", "--no-tests", "--json",
            cwd=self.repo.path, env=env, timeout_seconds=150,
        )  # fmt: skip

    def refreshed(self, group: str) -> bool:
        path = self.repo.path / ".flow/maestro/parallel_groups" / group / "metadata.json"
        return bool(json.loads(path.read_text())["pre_group_refresh_completed"])

    def prompt(self, group: str) -> str:
        (path,) = (self.repo.path / ".flow" / "maestro" / "runs").glob(f"*/attempts/t-{group}/1/prompt.md")
        return path.read_text()


@pytest.fixture
def shop(repo: Repository, tmp_path: Path, server: ModelServer, real: dict[str, Path]) -> Shop:
    return Shop(repo, tmp_path, server, real["claude"])


def landed(said: Said) -> bool:
    return said.code == 0 and set(said.statuses().values()) == {"landed"}


def test_one_answer_of_the_command_that_init_writes_serves_all_groups(shop: Shop, model: Model) -> None:
    maestro("init", cwd=shop.repo.path)
    before = shop.repo.git("status", "--porcelain")
    said = shop.run()
    assert landed(said), said.err
    assert not [warning for warning in said.json["warnings"] if "refreshed" in warning]
    assert len(model.asked) == 1
    assert "Sum up the state of this repository for coding agents" in model.asked[0]
    assert shop.refreshed("one")
    assert shop.refreshed("two")
    assert "The shop sells tea since Monday." in shop.prompt("one")
    assert "The shop sells tea since Monday." in shop.prompt("two")
    assert shop.repo.git("status", "--porcelain") == before


def test_the_plugin_that_the_user_installed_brings_the_command(shop: Shop, model: Model, tmp_path: Path) -> None:
    for part in (".claude-plugin", ".claude", "hooks", "bin"):
        shutil.copytree(CHECKOUT / part, tmp_path / "maestro" / part)
    for words in (["marketplace", "add", str(tmp_path / "maestro")], ["install", "flow@flow-maestro"]):
        done = subprocess.run(
            ["claude", "plugin", *words], env={**os.environ, **shop.env}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert landed(shop.run())
    assert len(model.asked) == 1
    assert "The shop sells tea since Monday." in shop.prompt("two")


def test_the_command_that_init_wrote_and_somebody_changed_is_the_one_that_runs(shop: Shop, model: Model) -> None:
    maestro("init", cwd=shop.repo.path)
    command = shop.repo.path / ".claude/commands/flow/summary.md"
    command.write_text(command.read_text() + "\nSay what the shop sells.\n")
    assert landed(shop.run(refresh_every_group="true"))
    assert len(model.asked) == 2
    assert all("Say what the shop sells." in prompt for prompt in model.asked)


def test_a_long_answer_is_cut(shop: Shop, model: Model) -> None:
    maestro("init", cwd=shop.repo.path)
    assert landed(shop.run(refresh_max_chars="40"))
    assert shop.prompt("one").count("The shop sells tea") == 1
    assert "more characters left out]" in shop.prompt("one")


@pytest.mark.parametrize(
    ("answer", "settings", "reason"),
    [
        ({"status": 400, "times": 0, "message": "odd"}, {}, "400 odd"),
        ({"hang": True, "times": 0}, {"refresh_timeout": "3"}, "did not end within 3 s"),
        ({"say": ""}, {}, "it answered nothing"),
    ],
)
def test_a_failing_one_is_warned_of_and_the_run_goes_on(
    shop: Shop, model: Model, answer: dict[str, Any], settings: dict[str, str], reason: str
) -> None:
    maestro("init", cwd=shop.repo.path)
    model.answer = answer
    said = shop.run(**settings)
    assert landed(said), said.err
    assert not shop.refreshed("one")
    assert not shop.refreshed("two")
    warnings = [warning for warning in said.json["warnings"] if "was not refreshed" in warning]
    assert len(warnings) == 2, "each group asks again"
    assert all(reason in warning for warning in warnings), warnings
    assert "tea" not in shop.prompt("one")
