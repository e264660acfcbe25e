from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Job
from maestro.agents.gemini import GeminiAgent, GeminiOptions
from maestro.agents.registry import make_agent
from maestro.errors import BadInput


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        task_id="T1",
        prompt="do it",
        prompt_file=tmp_path / "prompt.md",
        workspace=tmp_path,
        state_dir=tmp_path / "state",
        client_config=tmp_path / "client-config.json",
    )


def test_the_command_line_as_it_is_without_options(job: Job) -> None:
    asked = GeminiAgent().invocation(job)
    assert list(asked.argv) == [
        "gemini", "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust",
        "--include-directories", str(job.state_dir),
    ]  # fmt: skip
    assert asked.env == {
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "NO_BROWSER": "true",
        "GEMINI_TELEMETRY_ENABLED": "false",
    }
    assert asked.stdin_file == job.prompt_file
    assert not job.state_dir.exists()


def test_options_become_flags_and_variables(job: Job) -> None:
    options = GeminiOptions(model="pro", base_url="http://127.0.0.1:9", approval_mode="auto_edit", extra_args=("-d",))
    asked = GeminiAgent(options).invocation(job.evolve(resume_session="abc"))
    assert list(asked.argv[-5:]) == ["--model", "pro", "--resume", "abc", "-d"]
    assert "auto_edit" in asked.argv
    assert asked.env["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:9"


def test_a_home_of_its_own_has_settings_and_servers_and_nobody_else_reads_them(job: Job) -> None:
    servers = {"notes": {"command": "notes", "env": {"TOKEN": "secret"}}}
    job.client_config.write_text(json.dumps({"mcpServers": servers}))
    own = {"general": {"maxAttempts": 2}, "privacy": {"usageStatisticsEnabled": True}}
    asked = GeminiAgent(GeminiOptions(private_home=True, settings=own)).invocation(job)
    home = Path(asked.env["GEMINI_CLI_HOME"])
    assert job.state_dir in home.parents
    file = home / ".gemini" / "settings.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {
        "mcpServers": servers,
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": True},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 2},
    }
    assert "secret" not in " ".join(asked.argv)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mcpServers": 3}'])
def test_a_client_configuration_that_cannot_be_read_is_left_out(job: Job, content: str) -> None:
    job.client_config.write_text(content)
    asked = GeminiAgent(GeminiOptions(private_home=True)).invocation(job)
    assert "mcpServers" not in json.loads(Path(asked.env["GEMINI_CLI_HOME"], ".gemini/settings.json").read_text())


def test_settings_without_a_place_are_refused() -> None:
    with pytest.raises(BadInput) as caught:
        make_agent("gemini", {"settings": {"general": {}}})
    assert "private_home" in caught.value.message


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "bin" / "gemini"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 0.61.0\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}


REFUSED: list[tuple[dict[str, str], dict[str, Any], str, bool]] = [
    ({}, {}, "", True),
    ({"GOOGLE_GEMINI_BASE_URL": "http://x"}, {}, "", False),
    ({}, {"base_url": "http://x"}, "", False),
    ({}, {"base_url": "http://x"}, "{}", False),
    ({}, {"base_url": "http://x"}, '{"security": {"auth": {"selectedType": "gemini-api-key"}}}', True),
    ({}, {"base_url": "http://x"}, '{"security": {"auth": {"selectedType": "x"}}} // mine', True),
    ({}, {"base_url": "http://x", "private_home": True}, "", True),
    ({"GOOGLE_GENAI_USE_VERTEXAI": "true"}, {"base_url": "http://x"}, "", True),
]


@pytest.mark.parametrize(("env", "options", "settings", "available"), REFUSED)
def test_a_base_url_needs_a_way_to_log_in(
    installed: dict[str, str], env: dict[str, str], options: dict[str, Any], settings: str, available: bool
) -> None:
    if settings:
        folder = Path(installed["HOME"], ".gemini")
        folder.mkdir()
        (folder / "settings.json").write_text(settings)
    found = GeminiAgent(GeminiOptions(**options)).availability({**installed, **env})
    assert found.available is available, found
    assert available or "private_home" in found.hint


def test_a_login_is_a_key_or_a_file_of_the_home_in_use(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert not GeminiAgent().login(home).found
    assert GeminiAgent().login({**home, "GEMINI_API_KEY": "k"}).found
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "oauth_creds.json").write_text('{"refresh_token": "secret"}')
    found = GeminiAgent().login(home)
    assert found.found
    assert "secret" not in found.detail
    assert not GeminiAgent(GeminiOptions(private_home=True)).login(home).found, "it does not see the user's home"
