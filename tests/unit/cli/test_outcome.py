"""The last words of a run, for people."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.cli.app import App
from maestro.cli.outcome import MOST, say_outcome
from maestro.cli.output import Output


def result(**given: Any) -> dict[str, Any]:
    return {"run_id": "r1", "status": "completed", "reason": "", "integration_branch": "integration/r1", **given}


def task(status: str, reason: str = "") -> dict[str, Any]:
    return {"status": status, "attempts": 1, "commit": None, "reason": reason}


def said(capsys: pytest.CaptureFixture[str], value: dict[str, Any]) -> list[str]:
    say_outcome(App(Output()), value)
    return capsys.readouterr().out.splitlines()


def test_what_did_not_land_is_named_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {"a": task("landed"), "b": task("failed", "red\x1b[2J"), "c": task("blocked", "b failed")}
    tasks["b"]["saved_ref"] = "refs/maestro/saved/r1/b"
    assert said(capsys, result(status="failed", tasks=tasks)) == [
        "1 of 3 tasks landed on integration/r1.",
        "  failed b: red [2J (its work is saved as refs/maestro/saved/r1/b)",
        "  blocked c: b failed",
    ]


def test_a_large_run_that_stopped_does_not_flood_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {f"t{number:03}": task("pending") for number in range(200)}
    lines = said(capsys, result(status="blocked", reason="your checkout changed", tasks=tasks))
    assert len(lines) == MOST + 3
    assert lines[-2] == f"  pending {200 - MOST} more: `maestro status --run-id r1` lists them"
    assert lines[-1] == "The run ended early: your checkout changed."


def test_what_was_spent_of_budgets_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    budget = {
        "budget": {"limit": 0.5, "spent": 0.62, "overshoot": 0.12},
        "day_budget_tokens": {"limit": 20000.0, "spent": 12400, "overshoot": 0},
    }
    reason = "the budget of the run is spent: 0.6200 of 0.5000 USD; `maestro resume --run-id r1 --budget USD` goes on"
    given = result(status="blocked", reason=reason, tasks={"a": task("landed")}, metrics={"budget": budget})
    assert said(capsys, given)[1:] == [
        f"The run ended early: {reason}.",
        "Budget of the run: 0.6200 of 0.5000 USD, 0.1200 USD over it by what was running.",
        "Budget of the day: 12,400 of 20,000 tokens.",
    ]
    assert len(said(capsys, result(tasks={"a": task("landed")}, metrics={"budget": None}))) == 1


def test_a_run_with_nothing_to_do_did_not_end_early(capsys: pytest.CaptureFixture[str]) -> None:
    done = {"a": {**task("landed"), "attempts": 0}}
    assert said(capsys, result(reason="everything was done before this run", tasks=done)) == [
        "Everything was done before this run."
    ]


def test_what_was_done_before_is_not_said_to_be_on_the_branch(capsys: pytest.CaptureFixture[str]) -> None:
    done = {**task("landed"), "attempts": 0}
    tasks = {"a": done, "b": task("landed"), "c": task("failed", "red")}
    assert said(capsys, result(tasks=tasks))[0] == "1 of 2 tasks landed on integration/r1; 1 was done before."
    say_outcome(App(Output()), result(tasks={"a": done, "c": task("failed", "red")}))
    captured = capsys.readouterr()
    assert captured.out.startswith("0 of 1 tasks landed on integration/r1; 1 was done before.\n")
    assert captured.err == "", "there is nothing to look at on the branch"
