from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from maestro.agents.registry import make_agent
from maestro.errors import BadInput


def test_agents_are_made_by_name_with_their_options() -> None:
    assert make_agent("claude", {"account": "mine", "allowed_tools": ["Bash"]}).account == "mine"
    assert make_agent("command", {"command": "true"}).name == "command"


@pytest.mark.parametrize(
    ("name", "options", "message", "hint"),
    [
        ("clod", {}, "there is no agent named 'clod'", "known agents: claude, "),
        ("command", {}, "the agent `command` needs a command line", "--agent-command"),
        ("claude", {"modle": "x"}, "option 'modle' of the agent 'claude': extra inputs", ""),
        ("claude", {"max_turns": 0}, "option 'max_turns' of the agent 'claude': input should be greater", ""),
        ("command", {"command": 3}, "option 'command' of the agent 'command': input should be a valid string", ""),
    ],
)
def test_what_cannot_be_made_is_named(name: str, options: Mapping[str, Any], message: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        make_agent(name, options)
    assert message in caught.value.message
    assert hint in caught.value.hint
