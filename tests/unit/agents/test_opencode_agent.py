from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from maestro.agents.base import Job
from maestro.agents.opencode import OpencodeAgent, OpencodeOptions


def job(folder: Path, **changes: object) -> Job:
    return Job(
        task_id="T1",
        prompt="p",
        prompt_file=folder / "prompt.md",
        workspace=folder,
        state_dir=folder / ".agent-state",
        client_config=folder / "client-config.json",
    ).evolve(**changes)


@pytest.fixture
def parent(tmp_path: Path) -> dict[str, str]:
    """Of a user for whom opencode has run before."""
    data = tmp_path / "home" / ".local" / "share" / "opencode"
    data.mkdir(parents=True)
    (data / "opencode.db").touch()
    return {"HOME": str(tmp_path / "home")}


def test_the_command_line_as_it_is_without_options(tmp_path: Path, parent: dict[str, str]) -> None:
    asked = OpencodeAgent(parent_env=parent).invocation(job(tmp_path))
    assert asked.argv == ("opencode", "run", "--format", "json", "--title", "maestro: T1", "--auto")
    assert asked.stdin_file == tmp_path / "prompt.md"
    assert asked.env == {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_PERMISSION": '{"bash": {"git push*": "deny"}, "doom_loop": "deny"}',
    }


def test_options_become_flags_and_variables(tmp_path: Path, parent: dict[str, str]) -> None:
    options = OpencodeOptions(
        executable="/opt/opencode",
        model="lab/m1",
        agent="build",
        variant="high",
        auto=False,
        permission={},
        config={"provider": {"lab": {}}},
        extra_args=("--pure",),
    )
    told = parent | {"OPENCODE_DISABLE_AUTOUPDATE": "0", "OPENCODE_DISABLE_MODELS_FETCH": "0"}
    asked = OpencodeAgent(options, parent_env=told).invocation(job(tmp_path, resume_session="ses_1"))
    assert asked.argv[0] == "/opt/opencode"
    assert asked.argv[6:] == (
        "--model", "lab/m1", "--agent", "build", "--variant", "high", "--session", "ses_1", "--pure"
    )  # fmt: skip
    assert asked.env == {"OPENCODE_CONFIG_CONTENT": '{"provider": {"lab": {}}}'}, "what the parent says of it stands"


def test_where_it_has_never_run_each_workspace_has_its_own_database(tmp_path: Path, parent: dict[str, str]) -> None:
    first = OpencodeAgent(parent_env={"HOME": str(tmp_path)}).invocation(job(tmp_path))
    assert first.env["OPENCODE_DB"] == str(tmp_path / ".agent-state" / "opencode.db")
    for known in (parent, {"OPENCODE_DB": "/x/y.db"}, {"XDG_DATA_HOME": str(tmp_path / "home" / ".local" / "share")}):
        assert "OPENCODE_DB" not in OpencodeAgent(parent_env=known).invocation(job(tmp_path)).env
    assert "OPENCODE_DB" in OpencodeAgent(parent_env={**parent, "XDG_DATA_HOME": "/x"}).invocation(job(tmp_path)).env


@pytest.mark.parametrize("content", [None, "{}", "broken", "[]", '{"mcpServers": []}', '{"mcpServers": {"db": {}}}'])
def test_what_names_no_mcp_server_is_passed_over(tmp_path: Path, parent: dict[str, str], content: str | None) -> None:
    if content is not None:
        (tmp_path / "client-config.json").write_text(content)
    assert "OPENCODE_CONFIG_CONTENT" not in OpencodeAgent(parent_env=parent).invocation(job(tmp_path)).env


def test_mcp_servers_are_put_into_its_words(tmp_path: Path, parent: dict[str, str]) -> None:
    servers: dict[str, Any] = {
        "db": {"command": "db-server", "args": ["-v"], "env": {"A": "b"}},
        "far": {"type": "http", "url": "http://127.0.0.1:1/mcp"},
    }
    (tmp_path / "client-config.json").write_text(json.dumps({"mcpServers": servers}))
    own = OpencodeOptions(config={"mcp": {"far": {"enabled": False}}, "share": "disabled"})
    config = json.loads(OpencodeAgent(own, parent_env=parent).invocation(job(tmp_path)).env["OPENCODE_CONFIG_CONTENT"])
    assert config == {
        "share": "disabled",
        "mcp": {
            "db": {"type": "local", "command": ["db-server", "-v"], "environment": {"A": "b"}},
            "far": {"enabled": False},
        },
    }


def test_a_login_is_seen_without_being_read_out(tmp_path: Path) -> None:
    agent = OpencodeAgent(parent_env={})
    env = {"HOME": str(tmp_path)}
    missing = agent.login(env)
    assert (missing.found, "opencode auth login" in missing.hint) == (False, True)
    assert agent.login({**env, "OPENROUTER_API_KEY": "secret"}).detail == "OPENROUTER_API_KEY is set"
    kept = tmp_path / ".local" / "share" / "opencode" / "auth.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"anthropic": {"type": "api", "key": "secret"}}')
    assert agent.login(env).detail == "logged in (~/.local/share/opencode/auth.json)"
    assert not agent.login({**env, "XDG_DATA_HOME": "/nowhere"}).found


def test_nothing_that_names_a_session_around_us_is_passed_on() -> None:
    names = OpencodeAgent().env_names()
    assert not any("OPENCODE_PID".startswith(name.rstrip("*")) for name in names if name.endswith("*"))
