"""A coordinator is stopped dead at every boundary of a run and resumed: it ends as if nothing had happened (E-6).

`crash_lab.py` says what a boundary is. Each scenario is run once undisturbed, which lists its boundaries, and then once
for each of them. A second test stops the coordinator that resumes it as well.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.crashing import STOPPED, STOPPED_AGAIN, Count, ask, check, make_scenario

LAB = "crash_lab.py"
SHARDS = 3
HALFWAY = "landing: #1"
"""Said that the branch will move, and not done: the boundary after which most is open."""


WORK = 'echo "$MAESTRO_TASK_ID" > "out-$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'

SCENARIOS: dict[str, dict[str, Any]] = {
    "groups and a gate": {
        "tasks": [
            {"id": "a", "title": "[P:Group-X] first"},
            {"id": "b", "title": "[P:Group-X] second", "files": ["b.txt"]},
            {"id": "c", "title": "third", "dependencies": ["a"]},
        ],
        "agent": WORK,
        "flags": ["--test-command", "test ! -e bad", "--max-parallel", 2],
    },
    "failures": {
        "tasks": [
            {"id": "again", "title": "fails once"},
            {"id": "never", "title": "always fails"},
            {"id": "after", "title": "waits for what fails", "dependencies": ["never"]},
            {"id": "nothing", "title": "nothing to do"},
        ],
        "agent": f"""case $MAESTRO_TASK_ID in
            again) if ! [ -e "$LAB/tried" ]; then touch "$LAB/tried"; exit 3; fi; {WORK};;
            never) exit 4;;
            nothing) printf '{{"status": "no_change", "summary": "right as it is"}}' >"$MAESTRO_REPORT_FILE";;
            esac""",
        "flags": ["--no-tests", "--keep-going"],
    },
    "conflict and red tests": {
        "tasks": [
            {"id": "one", "title": "writes the file"},
            {"id": "two", "title": "writes the same file"},
            {"id": "red", "title": "breaks the tests once"},
        ],
        "agent": f"""case $MAESTRO_TASK_ID in
            one) echo one >shared; {WORK};;
            two) n=0; while ! git cat-file -e integration/r:shared && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done
                 echo two >>shared; {WORK};;
            red) if [ -e "$LAB/red" ]; then echo good >good; else touch "$LAB/red" bad; fi; {WORK};;
            esac""",
        "flags": ["--test-command", "test ! -e bad", "--allow-overlap"],
    },
    "levels": {
        "tasks": [
            {"id": "low", "title": "first"},
            {"id": "bad", "title": "fails beside it"},
            {"id": "high", "title": "then", "dependencies": ["low"]},
        ],
        "agent": f"case $MAESTRO_TASK_ID in bad) exit 3;; esac; {WORK}",
        "flags": ["--no-tests", "--schedule", "levels", "--keep-going", "--attempts", 1],
    },
    "clones": {
        "tasks": [{"id": "a", "title": "first"}, {"id": "b", "title": "then", "dependencies": ["a"]}],
        "agent": WORK,
        "flags": ["--no-tests", "--workspace", "clone"],
    },
}


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_scenario(tmp_path / "scenario", SCENARIOS[request.param])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("scenario", SCENARIOS, indirect=True)
def test_crash_points(scenario: Path, shard: int, tmp_path: Path, record_property: Count) -> None:
    expected, boundaries = ask(LAB, "undisturbed", scenario, tmp_path / "first")[0]
    assert len(boundaries) > 40, boundaries
    mine = boundaries[shard::SHARDS]
    order = {"expected": expected, "boundaries": [[one, None] for one in mine]}
    results = ask(LAB, "try", scenario, tmp_path / "work", order)
    assert len(results) == len(mine)
    record_property(STOPPED, check(results))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS, indirect=True)
def test_crash_points_of_a_resumed_run(scenario: Path, tmp_path: Path, record_property: Count) -> None:
    """The coordinator that resumes a run dies as well, at every third boundary of its own, and a third one ends it."""
    first = random.SystemRandom().randrange(3)
    expected, boundaries = ask(LAB, "undisturbed", scenario, tmp_path / "first", {"stopped at": HALFWAY})[0]
    pairs = [[HALFWAY, one] for one in boundaries[first::3]]
    results = ask(LAB, "try", scenario, tmp_path / "work", {"expected": expected, "boundaries": pairs})
    check(results)
    twice = sum(result.get("met again", False) for result in results)
    assert twice >= 0.8 * len(results)
    record_property(STOPPED_AGAIN, twice)
