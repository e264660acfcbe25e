"""docs/states.md shows the moves and words that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from maestro.model.states import FINAL, MOVES, GroupPhase, GroupStatus, RunStatus

PAGE = (Path(__file__).parents[3] / "docs" / "states.md").read_text()


def test_the_picture_has_every_legal_move_and_no_other() -> None:
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)", PAGE, re.MULTILINE))
    assert drawn == {(state.value, to.value) for state, moves in MOVES.items() for to in moves}


def test_the_picture_ends_where_a_task_ends() -> None:
    assert set(re.findall(r"^ +(\w+) --> \[\*\]", PAGE, re.MULTILINE)) == {state.value for state in FINAL}


def test_the_tables_name_every_status_and_phase() -> None:
    rows = re.findall(r"^\| `(\w+)` ", PAGE, re.MULTILINE)
    assert rows == [status.value for status in (*GroupStatus, *RunStatus)]
    phases = re.findall(r"`(\w+)` \(", PAGE)
    assert phases == [phase.value for phase in GroupPhase]
