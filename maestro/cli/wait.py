"""`maestro wait`: return as soon as a run or a group has ended.

The file that says so is looked at fifty times a second, which costs a few system calls.
"""

from __future__ import annotations

import math
import time
from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.store.endings import LOOK_SECONDS, Looks

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
    answer = wait_until_ended(Looks(app.layout(), run_id=run_id, group_id=group_id), timeout)
    return _tell(app, answer, timeout)


def wait_until_ended(looks: Looks, timeout_seconds: float | None) -> dict[str, Any]:
    """Look until it has ended or the time is over; how it stands then."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        stands = looks.look()
        now = time.monotonic()
        if not stands["timed_out"] or (deadline is not None and now >= deadline):
            return stands
        time.sleep(LOOK_SECONDS if deadline is None else min(LOOK_SECONDS, deadline - now))


def _tell(app: App, answer: dict[str, Any], timeout: float | None) -> int:
    code = CODES.get(answer["status"], TIMEOUT)
    if app.output.as_json:
        app.output.json(answer)
    else:
        name = f"group {answer['group_id']}" if "group_id" in answer else f"run {answer['run_id']}"
        late = f", not ended within {timeout:g} s" if code == TIMEOUT else ""
        because = f": {answer['reason']}" if answer["reason"] else ""
        app.output.text(f"{name}: {answer['status']}{late}{because}")
    return code
