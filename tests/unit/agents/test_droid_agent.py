from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from maestro.agents.base import Job
from maestro.agents.droid import DroidAgent, DroidOptions


def job(folder: Path, **changes: object) -> Job:
    return Job(
        task_id="T1",
        prompt="p",
        prompt_file=folder / "prompt.md",
        workspace=folder,
        state_dir=folder / ".agent-state",
        client_config=folder / "client-config.json",
    ).evolve(**changes)


def test_the_command_line_as_it_is_without_options(tmp_path: Path) -> None:
    asked = DroidAgent(parent_env={}).invocation(job(tmp_path))
    assert asked.argv == ("droid", "exec", "--output-format", "stream-json", "--auto", "medium")
    assert asked.stdin_file == tmp_path / "prompt.md"
    assert asked.env == {"FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"}


def test_options_become_flags_and_a_conversation_is_forked(tmp_path: Path) -> None:
    options = DroidOptions(
        executable="/opt/droid",
        model="custom:x",
        auto="high",
        reasoning_effort="low",
        settings=Path("~/lab.json"),
        extra_args=("--disable-builtin-skills",),
    )
    agent = DroidAgent(options, parent_env={"FACTORY_DROID_AUTO_UPDATE_ENABLED": "true"})
    asked = agent.invocation(job(tmp_path, resume_session="s"))
    assert asked.argv == (
        "/opt/droid", "--settings", str(Path("~/lab.json").expanduser()), "exec", "--output-format", "stream-json",
        "--auto", "high", "--model", "custom:x", "--reasoning-effort", "low", "--fork", "s",
        "--disable-builtin-skills",
    )  # fmt: skip
    assert asked.env == {}, "what the parent says of it stands"


def test_a_level_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError):
        DroidOptions.model_validate({"auto": "full"})


def test_a_login_is_seen_without_being_read_out(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    settings = tmp_path / "own.json"
    settings.write_text('{"customModels": [{"apiKey": "secret"}]}')
    agent = DroidAgent(DroidOptions())
    missing = agent.login(env)
    assert (missing.found, "FACTORY_API_KEY" in missing.hint) == (False, True)
    assert agent.login({**env, "FACTORY_API_KEY": "secret"}).detail == "FACTORY_API_KEY is set"
    assert DroidAgent(DroidOptions(settings=settings)).login(env).detail == f"logged in ({settings})"
    (tmp_path / ".factory").mkdir()
    (tmp_path / ".factory" / "auth.v2.file").write_text("secret")
    assert agent.login(env).detail == "logged in (~/.factory/auth.v2.file)"
    assert not agent.login({**env, "FACTORY_HOME_OVERRIDE": "/nowhere"}).found
