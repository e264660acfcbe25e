"""docs/scripts.md shows the fields, codes and variables that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from maestro.cli.boundary import BUG, INTERRUPTED, USAGE
from maestro.cli.wait import TIMEOUT
from maestro.config.sources import NOT_SETTINGS
from maestro.engine.environment import ALLOWED
from maestro.model.group import GroupMetadata
from maestro.model.plan import Plan, ScheduleKind
from maestro.model.report import Report
from maestro.model.result import EXIT_CODES, nothing_to_do
from maestro.planning.render_json import plan_object

PAGE = (Path(__file__).parents[3] / "docs" / "scripts.md").read_text()
EXAMPLES = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
RUN, ERROR, PLAN, REPORT, METADATA = EXAMPLES


def test_every_exit_code_has_a_row() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)}
    assert rows == {*EXIT_CODES.values(), USAGE, BUG, TIMEOUT, INTERRUPTED}


def test_the_objects_have_the_keys_of_the_code() -> None:
    assert list(RUN) == list(nothing_to_do("r", None, "c", {}))
    assert list(PLAN) == list(plan_object(Plan(schedule=ScheduleKind.DATAFLOW, tasks={}, dependencies={}, groups={})))
    assert list(ERROR["error"]) == ["message", "hint"]


def test_the_metadata_is_one() -> None:
    metadata = GroupMetadata.model_validate(METADATA)
    assert json.loads(metadata.to_json()) == METADATA


def test_the_report_is_one_and_every_status_has_a_row() -> None:
    assert list(REPORT) == list(Report.model_fields)
    for status in get_args(Report.model_fields["status"].annotation):
        assert f"| `{status}` | " in PAGE


def test_the_variables_of_an_agent_are_named() -> None:
    assert all(f"`{name}`" in PAGE for name in NOT_SETTINGS - {"MAESTRO_FENCING_TOKEN"})
    assert all(f"`{name}`" in PAGE for name in ALLOWED[:7])
