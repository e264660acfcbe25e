"""E-9: a run in which too many landings fail goes on one task at a time, and says so wherever it is looked at."""

from __future__ import annotations

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import Run

IN_ONE_FILE = 'echo "$MAESTRO_TASK_ID" >> shared.txt && git add -A && git commit -qm work'
TASKS = [{"id": name} for name in "abcdef"]


def test_it_is_said_in_every_place(repo: Repository, run: Run) -> None:
    said = run(TASKS, "--run-id", "r", "--max-parallel", "6", agent=IN_ONE_FILE)
    result = said.json
    assert "landings failed" in result["sequential"]
    assert "one task at a time from here on" in said.err
    shown = maestro("status", "--run-id", "r", cwd=repo.path).out
    assert f"One task at a time: {result['sequential']}" in shown
    [row] = maestro("history", "--json", cwd=repo.path).json["runs"]
    assert row["went_sequential"] == result["sequential"]
    assert "went sequential" in maestro("history", cwd=repo.path).out


def test_a_run_that_stays_parallel_says_nothing_of_it(repo: Repository, run: Run) -> None:
    said = run(TASKS, "--run-id", "r", "--max-parallel", "6", agent=IN_ONE_FILE, env={"MAESTRO_SEQUENTIAL_ABOVE": "1"})
    assert "sequential" not in said.json
    assert "one task at a time" not in said.err
