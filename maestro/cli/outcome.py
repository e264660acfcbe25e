"""How a run ended, in words or as the object of C-1a."""

from __future__ import annotations

from collections import Counter
from typing import Any

from maestro.cli.app import App
from maestro.telemetry.oneline import one_line

_NOT_LANDED = ("failed", "blocked", "cancelled", "pending")


def say_outcome(app: App, result: dict[str, Any]) -> None:
    """The last words of a run: what landed, what did not and why, and where the work is."""
    if app.output.as_json:
        app.output.json(result)
        return
    tasks: dict[str, dict[str, Any]] = result["tasks"]
    counts = Counter(task["status"] for task in tasks.values())
    app.output.text(
        f"{counts['landed']} of {len(tasks)} tasks landed on {result['integration_branch'] or 'no branch'}."
    )
    for word in _NOT_LANDED:
        for name, task in tasks.items():
            if task["status"] == word:
                reason = f": {one_line(task['reason'])}" if task["reason"] else ""
                saved = f" (its work is saved as {task['saved_ref']})" if "saved_ref" in task else ""
                app.output.text(f"  {word} {one_line(name)}{reason}{saved}")
    for name, entry in tasks.items():
        if "tracker_error" in entry:
            app.output.warn(f"the tracker was not told about {name}: {one_line(entry['tracker_error'])}")
    if result["reason"]:
        app.output.text(f"The run ended early: {one_line(result['reason'])}.")
    if counts["landed"] and result["integration_branch"]:
        app.output.note(f"Look at it with: git log --oneline --graph {result['integration_branch']}")
