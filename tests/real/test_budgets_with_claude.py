"""Budgets of A-7 with the real claude CLI, whose own figures are what counts, and a scripted model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.model_server import ModelServer
from maestro.testing.repository import Repository

pytestmark = [pytest.mark.real("claude"), pytest.mark.timeout(180)]

DEAR = {"input_tokens": 20_000, "output_tokens": 4_000}
"""Of each answer: some twenty cents, at the price claude has for a model it does not know."""


def work(name: str, *more: dict[str, Any]) -> str:
    steps = [
        {"write": {"path": name, "content": f"{name}\n"}, "usage": DEAR},
        {"bash": f"git add -A && git commit -qm 'Add {name}'", "usage": DEAR},
        *more,
        {"say": "done", "usage": DEAR},
    ]
    return f"Do it.\n\n```maestro-script\n{json.dumps(steps)}\n```\n"


def run(
    repo: Repository, server: ModelServer, real: dict[str, Path], folder: Path, tasks: list[dict[str, Any]], *flags: str
) -> Said:
    path = folder / "tasks.json"
    path.write_text(json.dumps(tasks))
    words = ("run", "--tasks-file", str(path), "--agent", "claude", "--no-tests", *flags)
    return maestro(*words, cwd=repo.path, env=environment(server, real), timeout_seconds=150)


def environment(server: ModelServer, real: dict[str, Path]) -> dict[str, str]:
    return {
        "PATH": f"{real['claude'].parent}:{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "fake-key",
        "IS_SANDBOX": "1",
    }


def test_a_budget_that_two_of_five_tasks_use_up_lets_those_running_land_and_nothing_more_start(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    tasks = [{"id": name, "description": work(f"{name}.txt")} for name in "abcde"]
    one = run(repo, server, real, tmp_path, tasks[:1], "--json", "--run-id", "price").json["metrics"]["cost_usd"]
    assert one > 0
    limit = round(1.5 * one, 4)
    tasks = [*tasks[1:], {"id": "f", "description": work("f.txt")}]
    flags = ("--max-parallel", "2", "--budget", str(limit), "--json", "--run-id", "bounded")
    said = run(repo, server, real, tmp_path, tasks, *flags)
    assert said.code == 3, said.err
    statuses = list(said.statuses().values())
    assert statuses.count("pending") in (2, 3), "the second of two ends while the third is at work, or has not begun"
    assert statuses.count("landed") == 5 - statuses.count("pending")
    metrics = said.json["metrics"]
    budget = metrics["budget"]["budget"]
    assert budget["limit"] == limit
    assert budget["spent"] == pytest.approx(metrics["cost_usd"])
    assert budget["overshoot"] == pytest.approx(metrics["cost_usd"] - limit, abs=1e-5)
    assert 0 < budget["overshoot"] <= 2 * one
    assert "maestro resume --run-id bounded --budget USD" in said.json["reason"]
    status = maestro("status", "--run-id", "bounded", cwd=repo.path)
    assert f"of {limit:.4f} USD" in status.out or f"of {limit:.2f} USD" in status.out
    assert "over it by what was running" in status.out
    resume = ("resume", "--run-id", "bounded", "--json")
    again = maestro(*resume, cwd=repo.path, env=environment(server, real), timeout_seconds=150)
    assert again.code == 3, "the budget is what it was, and so is what was spent"
    assert again.statuses() == said.statuses()
    assert again.json["metrics"]["attempts"] == metrics["attempts"]
    more = maestro(*resume, "--budget", "100", cwd=repo.path, env=environment(server, real), timeout_seconds=150)
    assert more.code == 0, more.err
    assert set(more.statuses().values()) == {"landed"}
    assert more.json["metrics"]["budget"]["budget"]["spent"] == pytest.approx(5 * one)


def test_an_attempt_is_stopped_by_claude_itself_at_its_budget_in_dollars(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    more = [{"bash": f"echo {number}", "usage": DEAR} for number in range(6)]
    tasks = [{"id": "a", "description": work("a.txt", *more)}]
    said = run(repo, server, real, tmp_path, tasks, "--attempt-budget", "0.3", "--json")
    assert said.code == 1, said.err
    task = said.json["tasks"]["a"]
    assert (task["status"], task["attempts"]) == ("failed", 1)
    assert "Reached maximum budget ($0.3)" in task["reason"]
    assert said.json["metrics"]["cost_usd"] >= 0.3
    assert "a.txt" in repo.files(task["saved_ref"])


def test_an_attempt_is_stopped_at_its_budget_in_tokens(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    tasks = [{"id": "a", "description": work("a.txt", {"bash": "echo 3", "usage": DEAR}, {"hang": True, "times": 0})}]
    said = run(repo, server, real, tmp_path, tasks, "--attempt-budget-tokens", "50000", "--json")
    assert said.code == 1, said.err
    task = said.json["tasks"]["a"]
    assert (task["status"], task["attempts"]) == ("failed", 1)
    assert "the budget of the attempt is spent: " in task["reason"]
    assert "of 50,000 tokens" in task["reason"]
    assert "a.txt" in repo.files(task["saved_ref"])


def test_a_day_goes_on_from_run_to_run(
    repo: Repository, server: ModelServer, real: dict[str, Path], tmp_path: Path
) -> None:
    tasks = [{"id": "a", "description": work("a.txt")}]
    first = run(repo, server, real, tmp_path, tasks, "--json")
    assert first.code == 0, first.err
    tasks = [{"id": "b", "description": work("b.txt")}]
    flags = ("--day-budget", str(first.json["metrics"]["cost_usd"]))
    second = run(repo, server, real, tmp_path, tasks, *flags)
    assert second.code == 3, second.err
    assert "The run ended early: the budget of the day is spent: " in second.out
    assert "since midnight" in second.out
