"""Which command refreshes the context of a group, and how often (E-2)."""

from __future__ import annotations

import pytest

from maestro.config.settings import Settings
from maestro.wiring.refreshing import refresh_argv, refresh_every_group


def test_no_model_is_called_that_the_user_did_not_choose() -> None:
    assert refresh_argv(Settings(agent="command", agent_command="true")) is None
    assert refresh_argv(Settings(agent="delegate")) is None


def test_claude_is_asked_with_its_options_and_outside_of_any_session() -> None:
    argv = refresh_argv(Settings(agent="claude", agents={"claude": {"executable": "/opt/claude", "model": "opus"}}))
    assert argv is not None
    asked = argv.index("/opt/claude")
    assert argv[asked:] == ("/opt/claude", "-p", "/flow:summary", "--output-format", "json", "--model", "opus")
    assert argv[0] == "env"
    assert "CLAUDE_CODE_SESSION_ID" in argv[:asked]


@pytest.mark.parametrize("agent", ["claude", "command"])
def test_a_command_of_the_users_comes_first(agent: str) -> None:
    assert refresh_argv(Settings(agent=agent, refresh_command="cat NOTES.md")) == ("sh", "-c", "cat NOTES.md")


def test_a_command_is_run_for_each_group_and_a_model_asked_once_unless_said_otherwise() -> None:
    assert refresh_every_group(Settings(refresh_command="true"))
    assert not refresh_every_group(Settings(agent="claude"))
    assert refresh_every_group(Settings(agent="claude", refresh_every_group=True))
    assert not refresh_every_group(Settings(refresh_command="true", refresh_every_group=False))
