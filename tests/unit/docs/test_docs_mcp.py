"""docs/mcp.md names the tools, limits and files that the code has."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from maestro.cli.mcp import VERSION
from maestro.config.settings import Settings
from maestro.mcp.inputs import LONGEST_WAIT_SECONDS, WAIT_SECONDS, RunInput, read_input
from maestro.mcp.tools import TOOLS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "mcp.md").read_text()


def test_every_tool_has_a_row_and_no_other() -> None:
    assert re.findall(r"^\| `(\w+)` \| `maestro \w+", PAGE, re.MULTILINE) == list(TOOLS)


def test_the_arguments_it_names_are_there() -> None:
    named = {"repository", "run_id", "group_id", "timeout", "text", "to_task", "task", "status", "summary", "todos"}
    assert all(f"`{name}`" in PAGE for name in named)
    assert named <= {argument for tool in TOOLS.values() for argument in tool.takes.model_fields}


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{WAIT_SECONDS:g} if not given, {LONGEST_WAIT_SECONDS:g} at most" in PAGE
    assert f"the official package `mcp`, version {VERSION}," in PAGE


def test_the_examples_are_taken() -> None:
    _, todos = (json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    assert isinstance(read_input(RunInput, todos), RunInput)
    (text,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert "maestro" in Settings.model_validate(tomllib.loads(text)).mcp_servers


def test_the_extra_is_what_the_command_asks_for() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["mcp"] == [f"mcp>={VERSION}.0,<{VERSION + 1}"]
    assert extras["mcp"][0] in extras["dev"], "tests need it"
