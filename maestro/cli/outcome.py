"""How a run ended, in words or as the object of C-1a."""

from __future__ import annotations

from typing import Any

from maestro.cli.app import App
from maestro.cli.budgets import budget_lines
from maestro.errors import sentence
from maestro.telemetry.oneline import one_line

MOST = 20
"""Tasks named for each way of not landing; in a large run that stopped, the rest would hide what matters."""

_NOT_LANDED = ("failed", "blocked", "cancelled", "pending")


def say_outcome(app: App, result: dict[str, Any]) -> None:
    """The last words of a run: what landed, what did not and why, and where the work is."""
    if app.output.as_json:
        app.output.json(result)
        return
    tasks: dict[str, dict[str, Any]] = result["tasks"]
    before = sum(was_done_before(task) for task in tasks.values())
    landed = sum(task["status"] == "landed" for task in tasks.values()) - before
    if before < len(tasks) or not tasks:
        where = result["integration_branch"] or "no branch"
        too = f"; {before} {'was' if before == 1 else 'were'} done before" if before else ""
        app.output.text(f"{landed} of {len(tasks) - before} tasks landed on {where}{too}.")
    for word in _NOT_LANDED:
        unlanded = [(name, task) for name, task in tasks.items() if task["status"] == word]
        app.output.text(*(_line(word, name, task) for name, task in unlanded[:MOST]))
        if len(unlanded) > MOST:
            more = f"  {word} {len(unlanded) - MOST} more"
            app.output.text(f"{more}: `maestro status --run-id {result['run_id']}` lists them")
    for name, entry in tasks.items():
        if "tracker_error" in entry:
            app.output.warn(f"the tracker was not told about {name}: {one_line(entry['tracker_error'])}")
    if result["reason"]:
        early = "" if result["status"] == "completed" else "The run ended early: "
        app.output.text(sentence(early + one_line(result["reason"])))
    app.output.text(*map(sentence, budget_lines(result.get("metrics", {}))))
    if (landed or before == len(tasks)) and result["integration_branch"]:
        app.output.note(f"Look at it with: git log --oneline --graph {result['integration_branch']}")


def was_done_before(task: dict[str, Any]) -> bool:
    """Landed by an earlier run or closed by hand: its work need not be on the branch of this run."""
    return bool(task["status"] == "landed") and not task["attempts"]


def _line(word: str, name: str, task: dict[str, Any]) -> str:
    reason = f": {one_line(task['reason'])}" if task["reason"] else ""
    saved = f" (its work is saved as {task['saved_ref']})" if "saved_ref" in task else ""
    return f"  {word} {one_line(name)}{reason}{saved}"
