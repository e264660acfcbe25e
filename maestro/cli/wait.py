"""`maestro wait`: return as soon as a run or a group has ended.

The file that says so is looked at fifty times a second, which costs a few system calls; whether its writer still
lives is asked of the kernel, so that nobody waits for a dead run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.store.layout import Layout
from maestro.store.standing import DIED, finished, group_metadata, is_alive, known_run, result_of_run, run_of_group

POLL_SECONDS = 0.02
ALIVE_SECONDS = 0.5
"""How often the kernel is asked whether the coordinator lives."""

CODES = {"completed": 0, "failed": 1, "blocked": 3, "interrupted": 130}
TIMEOUT = 124


@click.command()
@click.option("--group-id", metavar="X", help="Wait for this group.")
@click.option("--run-id", metavar="ID", help="Wait for this run.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long (exit code 124)."
)
@output_options
@click.pass_obj
def command(app: App, group_id: str | None, run_id: str | None, timeout: float | None) -> int:
    """Wait until a run or a group has ended.

    The exit code says how: 0 completed, 1 failed, 3 blocked, 130 interrupted, 124 not within the time.
    """
    if (group_id is None) == (run_id is None):
        raise click.UsageError("give either --group-id or --run-id")
    if timeout is not None and math.isnan(timeout):  # it is in every range, and never over
        raise click.UsageError("--timeout must be a number of seconds")
    layout = app.layout()
    look: Callable[[bool], dict[str, Any]]
    if group_id is not None:
        named = group_id
        group_metadata(layout, named)
        answer = {"group_id": named}
        look = lambda ask: group_stands(layout, named, ask_kernel=ask)  # noqa: E731
    else:
        known = known_run(layout, run_id or "")
        answer = {"run_id": known}
        look = lambda ask: run_stands(layout, known, ask_kernel=ask)  # noqa: E731
    stands = wait_until_ended(look, timeout)
    return _tell(app, {**answer, **stands}, timeout)


def wait_until_ended(look: Callable[[bool], dict[str, Any]], timeout_seconds: float | None) -> dict[str, Any]:
    """Look until the status is a final one or the time is over; how it stands then.

    `look` is told when to ask the kernel too.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    next_question = 0.0
    while True:
        now = time.monotonic()
        ask = now >= next_question
        if ask:
            next_question = now + ALIVE_SECONDS
        stands = look(ask)
        if stands["status"] in CODES or (deadline is not None and now >= deadline):
            return stands
        time.sleep(POLL_SECONDS if deadline is None else min(POLL_SECONDS, max(0.0, deadline - now)))


def run_stands(layout: Layout, run_id: str, *, ask_kernel: bool) -> dict[str, Any]:
    """Status and reason of a run; the journal is read only when its coordinator is gone without a result."""
    result = finished(layout, run_id)
    if result is None and ask_kernel and not is_alive(layout, run_id):
        result = result_of_run(layout, run_id)
        if result["reason"] == DIED:
            return {"status": "failed", "reason": DIED}
    if result is None:
        return {"status": "running", "reason": ""}
    return {"status": result["status"], "reason": result.get("reason", "")}


def group_stands(layout: Layout, group_id: str, *, ask_kernel: bool) -> dict[str, Any]:
    """Status and reason of a group; one that its run left unfinished has failed."""
    metadata = group_metadata(layout, group_id)
    run_id = run_of_group(metadata)
    if metadata.get("status") not in CODES and ask_kernel and run_id and not is_alive(layout, run_id):
        metadata = group_metadata(layout, group_id)  # it may have ended between the two looks
        if metadata.get("status") not in CODES:
            return {"status": "failed", "reason": f"run {run_id}: {DIED}"}
    return {"status": str(metadata.get("status")), "reason": "; ".join(map(str, metadata.get("errors", [])))}


def _tell(app: App, answer: dict[str, Any], timeout: float | None) -> int:
    code = CODES.get(answer["status"], TIMEOUT)
    if app.output.as_json:
        app.output.json({**answer, "timed_out": code == TIMEOUT})
    else:
        name = f"group {answer['group_id']}" if "group_id" in answer else f"run {answer['run_id']}"
        late = f", not ended within {timeout:g} s" if code == TIMEOUT else ""
        because = f": {answer['reason']}" if answer["reason"] else ""
        app.output.text(f"{name}: {answer['status']}{late}{because}")
    return code
