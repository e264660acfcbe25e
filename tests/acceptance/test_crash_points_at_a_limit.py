"""A coordinator is stopped dead at every boundary between a limit and the end of the run, and resumed (A-5, E-6).

The task is cut off by a limit in its first conversation. However the coordinator dies, nothing counts as failed, and
the task ends in the one conversation, and the workspace, that it began in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.crashing import STOPPED, Count, ask, check, make_scenario

LAB = "limit_lab.py"
SHARDS = 2

SCENARIO = {
    "tasks": [{"id": "a", "title": "first"}],
    "flags": ["--no-tests", "--attempts", "1"],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_crash_points_at_a_limit(shard: int, tmp_path: Path, record_property: Count) -> None:
    scenario = make_scenario(tmp_path / "scenario", SCENARIO)
    expected, boundaries = ask(LAB, "undisturbed", scenario, tmp_path / "first")[0]
    assert expected["tasks"] == {"a": "landed"}, expected
    assert expected["conversations"] == {"a": 1}
    first = next(at for at, one in enumerate(boundaries) if one.startswith("attempt_ended"))
    after = boundaries[first:]
    assert any(one.startswith("account_held") for one in after)
    assert any(one.startswith("account_released") for one in after)
    mine = after[shard::SHARDS]
    results = ask(LAB, "try", scenario, tmp_path / "work", {"expected": expected, "boundaries": mine})
    assert len(results) == len(mine)
    record_property(STOPPED, check(results))
