"""docs/agents.md has every agent there is, and calls tried only what a test of the real program tries."""

from __future__ import annotations

import re
from pathlib import Path

from maestro.agents.registry import AGENTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "agents.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| [^|]*\| ([^|]*)\|", PAGE, re.MULTILINE))


def test_every_agent_has_a_row_and_no_other_has() -> None:
    assert set(ROWS) == set(AGENTS)


def test_what_is_called_tried_has_tests_of_the_real_program() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "real").glob("test_*.py"))
    for agent, version in ROWS.items():
        if re.match(r"\d", version) and agent != "delegate":
            assert f'real("{agent}")' in tests, agent
