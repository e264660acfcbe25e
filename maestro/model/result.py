"""The result object of a run, stable for scripts (C-1a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maestro.model.budget import Budgets, Kind, Spent, standings
from maestro.model.events import AttemptTested
from maestro.model.gate import TestTotals
from maestro.model.run import Run
from maestro.model.states import RunStatus, TaskState

EXIT_CODES = {
    RunStatus.COMPLETED: 0,
    RunStatus.FAILED: 1,
    RunStatus.BLOCKED: 3,
    RunStatus.INTERRUPTED: 130,
}

_SHOWN = {
    TaskState.PENDING: "pending",
    TaskState.RUNNING: "pending",
    TaskState.SUBMITTED: "pending",
    TaskState.LANDED: "landed",
    TaskState.FAILED: "failed",
    TaskState.BLOCKED: "blocked",
    TaskState.CANCELLED: "cancelled",
}


def result_object(run: Run, done_before: dict[str, str | None]) -> dict[str, Any]:
    """What `maestro run --json` prints. `done_before`: tasks that were done before, with their commit if known."""
    tasks: dict[str, dict[str, Any]] = {
        task: {"status": "landed", "attempts": 0, "commit": commit, "reason": "done before this run"}
        for task, commit in done_before.items()
    }
    for task in run.tasks.values():
        tasks[task.id] = {
            "status": _SHOWN[task.state],
            "attempts": len(task.attempts),
            "commit": task.commit,
            "reason": task.reason,
        }
        if task.saved_ref is not None:
            tasks[task.id]["saved_ref"] = task.saved_ref
        if task.tracker_error is not None:
            tasks[task.id]["tracker_error"] = task.tracker_error
        if task.tested:
            tasks[task.id]["tests"] = tests_object(task.tested)
        if task.discovered:
            tasks[task.id]["discovered"] = list(task.discovered)
    result = {
        "run_id": run.start.run_id,
        "status": run.status.value,
        "reason": run.reason,
        "integration_branch": run.branch,
        "base": run.start.base,
        "tasks": tasks,
        "warnings": list(run.warnings),
        "metrics": run.metrics or _so_far(run),
    }
    return result if run.sequential is None else {**result, "sequential": run.sequential}


def tests_object(tested: Sequence[AttemptTested]) -> dict[str, Any]:
    """What agents found when they ran the tests of a task: how often, how long they waited, and the last results."""
    last = tested[-1]
    totals = last.totals or TestTotals()
    return {
        "runs": len(tested),
        "exit_code": last.exit_code,
        "passed": totals.passed,
        "failed": totals.failed,
        "skipped": totals.skipped,
        "failing": list(last.failing),
        "seconds": round(sum(one.seconds for one in tested), 3),
        "waited_seconds": round(sum(one.waited_seconds for one in tested), 3),
    }


def _so_far(run: Run) -> dict[str, Any]:
    """What is known of the metrics before the end: what ended attempts have used, and the budgets of the run."""
    limits = run.budgets.limits if run.budgets else {}
    known: Budgets = {kind: limit for kind, limit in limits.items() if kind in (Kind.RUN_USD, Kind.RUN_TOKENS)}
    found = standings(known, run.spent, 0.0, Spent())
    return {
        "cost_usd": run.spent.cost_usd,
        "tokens": run.spent.tokens,
        "budget": {one.kind.value: one.figures() for one in found} or None,
    }


def nothing_to_do(run_id: str, branch: str | None, base: str, done_before: dict[str, str | None]) -> dict[str, Any]:
    """The same object where every task was done before: no run was needed."""
    tasks = {
        task: {"status": "landed", "attempts": 0, "commit": commit, "reason": "done before this run"}
        for task, commit in done_before.items()
    }
    return {
        "run_id": run_id,
        "status": RunStatus.COMPLETED.value,
        "reason": "everything was done before this run",
        "integration_branch": branch,
        "base": base,
        "tasks": tasks,
        "warnings": [],
        "metrics": {},
    }
