"""A coordinator is stopped dead at every boundary between a limit and the end of the run, and resumed (A-5, E-6).

The task is cut off by a limit in its first conversation. However the coordinator dies, nothing counts as failed, and
the task ends in the one conversation, and the workspace, that it began in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import make_repository

LAB = Path(__file__).with_name("limit_lab.py")
SHARDS = 2

SCENARIO = {
    "tasks": [{"id": "a", "title": "first"}],
    "flags": ["--no-tests", "--attempts", "1"],
}


def lab(what: str, scenario: Path, work: Path, order: dict[str, Any] | None = None) -> list[Any]:
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(LAB), what, str(scenario), str(work)],
        input=json.dumps(order or {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_crash_points_at_a_limit(shard: int, tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    scenario = tmp_path / "scenario"
    make_repository(scenario / "project", {"README.md": "# sample\n", ".gitignore": ".flow/\n"})
    (scenario / "scenario.json").write_text(json.dumps(SCENARIO))
    expected, boundaries = lab("undisturbed", scenario, tmp_path / "first")[0]
    assert expected["tasks"] == {"a": "landed"}, expected
    assert expected["conversations"] == {"a": 1}
    first = next(at for at, one in enumerate(boundaries) if one.startswith("attempt_ended"))
    after = boundaries[first:]
    assert any(one.startswith("account_held") for one in after)
    assert any(one.startswith("account_released") for one in after)
    mine = after[shard::SHARDS]
    results = lab("try", scenario, tmp_path / "work", {"expected": expected, "boundaries": mine})
    assert len(results) == len(mine)
    record_property("counted", f"crash points: {sum(result['met'] for result in results)} boundaries at a limit")
    wrong = [result for result in results if result["wrong"]]
    assert not wrong, json.dumps(wrong[:3], indent=1)
    assert sum(result["met"] for result in results) >= 0.9 * len(results)
