"""A login is seen in variables and files alone, and no secret is ever said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.agents.base import KnowsLogin
from maestro.agents.claude import ClaudeAgent
from maestro.agents.login import LoginFile, look_for_login

SECRET = "sk-ant-very-secret"
FILES = (LoginFile("~/.tool/auth.json"), LoginFile("~/.tool.json", ("account", "key")), LoginFile("~/.tool/token"))


def write(home: Path, path: str, content: str) -> None:
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(content)


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        (".tool/auth.json", json.dumps({"key": SECRET}), True),
        (".tool/auth.json", "{}", False),
        (".tool/auth.json", "", False),
        (".tool/auth.json", "broken " + SECRET, False),
        (".tool.json", json.dumps({"account": {"id": SECRET}}), True),
        (".tool.json", json.dumps({"account": None, "other": SECRET}), False),
        (".tool.json", json.dumps([SECRET]), False),
        (".tool.json", "[" * 100_000, False),
        (".tool/token", SECRET, True),
        (".tool/token", "\n", False),
    ],
)
def test_a_file_counts_where_it_holds_a_login(tmp_path: Path, path: str, content: str, found: bool) -> None:
    write(tmp_path, path, content)
    login = look_for_login({"HOME": str(tmp_path)}, ("TOOL_KEY",), FILES, hint="sign in")
    assert login.found is found
    assert SECRET not in repr(login)
    assert login.detail == (f"logged in (~/{path})" if found else "no key and no login seen")
    looked_for = "TOOL_KEY, ~/.tool/auth.json, ~/.tool.json, ~/.tool/token"
    assert login.hint == ("" if found else f"sign in (looked for {looked_for})")


def test_a_variable_counts_where_it_is_not_empty() -> None:
    assert look_for_login({"A": "", "B": SECRET}, ("A", "B"), (), hint="").detail == "B is set"
    assert not look_for_login({"A": ""}, ("A",), FILES, hint="").found  # and HOME may be unset


@pytest.mark.parametrize(
    ("env", "path", "found"),
    [
        ({}, None, False),
        ({"CLAUDE_CODE_OAUTH_TOKEN": SECRET}, None, True),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, None, True),
        ({}, ".claude/.credentials.json", True),
        ({}, ".claude.json", True),
        ({"CLAUDE_CONFIG_DIR": "/nowhere"}, ".claude.json", False),
    ],
)
def test_claude(tmp_path: Path, env: dict[str, str], path: str | None, found: bool) -> None:
    if path:
        write(tmp_path, path, json.dumps({"oauthAccount": {"emailAddress": SECRET}}))
    agent = ClaudeAgent()
    assert isinstance(agent, KnowsLogin)
    login = agent.login({"HOME": str(tmp_path), **env})
    assert login.found is found
    assert SECRET not in repr(login)
    assert login.found or "ANTHROPIC_API_KEY" in login.hint
