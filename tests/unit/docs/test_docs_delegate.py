"""docs/delegate.md shows the objects, files and states that the code has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from maestro.cli.report import STATUSES
from maestro.store.delegated import result_only
from maestro.store.offers import Offers
from maestro.wiring.delegate import SUBAGENTS_AT_ONCE

PAGE = (Path(__file__).parents[3] / "docs" / "delegate.md").read_text()
(EXAMPLE,) = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_object_has_the_keys_of_the_code() -> None:
    task = {"status": "landed", "reason": ""}
    made = result_only({"run_id": "r", "status": "completed", "tasks": {"a": task}})
    assert list(EXAMPLE) == list(made)
    assert list(EXAMPLE["tasks"]["api-1"]) == list(made["tasks"]["a"])


def test_every_status_of_a_report_is_named() -> None:
    assert "|".join(STATUSES) in PAGE


def test_every_file_has_a_row(tmp_path: Path) -> None:
    offers = Offers(tmp_path / "delegate")
    offers.open()
    offers.set_settled(True)
    offers.set_session(None, None, coordinator=1)
    made = {path.name for path in offers.folder.iterdir()}
    assert made == set(re.findall(r"^\| `delegate/([\w.]+)", PAGE, re.MULTILINE))


def test_the_number_at_once_is_the_one_of_the_code() -> None:
    assert f"{SUBAGENTS_AT_ONCE} at once if `max_parallel` is not set" in PAGE
