"""Asks the labs (`crash_lab.py`, `limit_lab.py`), scripts both, to run a scenario and stop its coordinator dead."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maestro.testing.repository import make_repository

Count = Callable[[str, object], None]
"""pytest's `record_property`; what it is given as "counted …" is added up at the end of all tests."""

STOPPED = "counted crash points: boundaries at which a run was stopped"
STOPPED_AGAIN = "counted crash points: runs whose resumption was stopped as well"


def make_scenario(folder: Path, scenario: Mapping[str, Any]) -> Path:
    """The folder of a scenario: what it consists of, and the repository it starts from."""
    make_repository(folder / "project", {"README.md": "# sample\n", ".gitignore": ".flow/\n"})
    (folder / "scenario.json").write_text(json.dumps(scenario))
    return folder


def ask(lab: str, what: str, scenario: Path, work: Path, order: Mapping[str, Any] | None = None) -> list[Any]:
    """What the lab of this file name answers, one value for each line."""
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(lab)), what, str(scenario), str(work)],
        input=json.dumps(order or {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(results: list[dict[str, Any]]) -> int:
    """All of them ended as an undisturbed run does, and nearly all boundaries were met again; how many."""
    wrong = [result for result in results if result["wrong"]]
    assert not wrong, json.dumps(wrong[:3], indent=1)
    met = sum(result["met"] for result in results)
    assert met >= 0.9 * len(results), f"only {met} of {len(results)} boundaries were met again"
    return met
