"""docs/limits.md says of each agent what it tells, as its adapter does."""

from __future__ import annotations

import re
from pathlib import Path

from maestro.agents.base import Told
from maestro.agents.registry import AGENTS, make_agent
from maestro.model.budget import Kind

PAGE = (Path(__file__).parents[3] / "docs" / "limits.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (yes|no) \| (yes|no) \| ([a-z, ]*?) ?\|$", PAGE, re.MULTILINE)


def test_every_agent_has_a_row_with_what_it_tells() -> None:
    shown = {}
    for name in AGENTS:
        agent = make_agent(name, {"command": "true"} if name == "command" else {})
        tells = ["yes" if told in agent.tells else "no" for told in (Told.COST, Told.TOKENS)]
        shown[name] = (*tells, ", ".join(told.value for told in Told if told in agent.bounds))
    assert {name: tuple(rest) for name, *rest in ROWS} == shown


def test_every_budget_is_named() -> None:
    assert all(f"`{kind.value}`" in PAGE for kind in Kind)
