"""docs/configuration.md has one row for every key, with its true default and flag."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from maestro.agents.claude import ClaudeOptions
from maestro.agents.codex import CodexOptions
from maestro.agents.gemini import GeminiOptions
from maestro.cli.options import RUN_OPTIONS
from maestro.config.load import KEYS
from maestro.config.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
ROWS = {
    key: (default, flag)
    for key, default, flag in re.findall(r"^\| `(\w+)` \| ([^|]+?) \| ([^|]*)\| ", PAGE, re.MULTILINE)
}
FLAGS = {name for name, _ in RUN_OPTIONS}
OPTIONS = {"claude": ClaudeOptions, "codex": CodexOptions, "gemini": GeminiOptions}


def test_every_key_has_one_row_in_the_order_of_the_code() -> None:
    assert list(ROWS) == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_default_is_the_one_of_the_code(key: str) -> None:
    default, _ = ROWS[key]
    written = None if default == "none" else tomllib.loads(f"value = {default.strip('`')}")["value"]
    assert written == Settings().model_dump(mode="json")[KEYS[key]]


@pytest.mark.parametrize("key", KEYS)
def test_a_flag_is_named_where_there_is_one(key: str) -> None:
    flag = "--" + key.replace("_", "-")
    assert ROWS[key][1].strip() == (f"`{flag}`" if flag in FLAGS else "")


@pytest.mark.parametrize("agent", OPTIONS)
def test_every_option_of_an_agent_is_named(agent: str) -> None:
    section = PAGE.partition(f"| option of `{agent}`")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", section)) >= set(OPTIONS[agent].model_fields)
