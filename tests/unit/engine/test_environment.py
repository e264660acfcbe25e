"""Agents get an allow-listed environment: no secret of the parent's (I-6)."""

from __future__ import annotations

from maestro.engine.environment import allowed_environment

PARENT = {
    "PATH": "/bin",
    "HOME": "/home/u",
    "LC_ALL": "C",
    "TERM": "xterm",
    "https_proxy": "http://proxy",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GITHUB_TOKEN": "secret",
    "MAESTRO_AGENT_COMMAND": "echo",
    "ANTHROPIC_API_KEY": "key",
    "CLAUDE_CODE_SESSION_ID": "mine",
    "CLAUDE_CONFIG_DIR": "/c",
}


def test_only_what_is_on_the_list_passes() -> None:
    assert set(allowed_environment(PARENT)) == {"PATH", "HOME", "LC_ALL", "TERM", "https_proxy"}


def test_an_adapter_names_its_own_and_may_leave_some_out() -> None:
    env = allowed_environment(PARENT, ("ANTHROPIC_*", "CLAUDE_*", "!CLAUDE_CODE_SESSION_ID"))
    assert env["ANTHROPIC_API_KEY"] == "key"
    assert "CLAUDE_CONFIG_DIR" in env
    assert "CLAUDE_CODE_SESSION_ID" not in env
    assert "GITHUB_TOKEN" not in env
