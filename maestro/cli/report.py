"""`maestro report`: how a task went, said by the agent that did it (A-2, C-3). Quick: it is many agents' last act."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import BadInput

STATUSES = ("done", "failed", "blocked", "no_change")


@click.command()
@click.option("--task", metavar="T", help="The task (default: the one that the agent was started for).")
@click.option("--status", type=click.Choice(STATUSES), required=True, help="How it went.")
@click.option("--summary", metavar="S", default="", help="What was done, or why not.")
@click.option("--confidence", type=float, metavar="C", help="How sure the agent is, from 0 to 1.")
@click.option("--note", "notes", multiple=True, metavar="N", help="What the next one should know; several times.")
@click.option(
    "--discovered", multiple=True, metavar="JSON", help="Work found and left alone: an object with a title; several."
)
@click.option("--run-id", metavar="R", help="The run (default: the one that waits for this task's report).")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="The attempt (default: the newest).")
@output_options
@click.pass_obj
def command(
    app: App,
    task: str | None,
    status: str,
    summary: str,
    confidence: float | None,
    notes: tuple[str, ...],
    discovered: tuple[str, ...],
    run_id: str | None,
    attempt: int | None,
) -> None:
    """Report how a task went. The first report of an attempt counts; what it claims is checked by what is committed."""
    from maestro.wiring.reporting import take_report

    given = {
        "status": status,
        "summary": summary,
        "confidence": confidence,
        "notes": list(notes),
        "discovered": [_object(text) for text in discovered],
    }
    taken = take_report(
        given, environ=app.environ, layout=app.layout_of_caller, task=task, run_id=run_id, attempt=attempt
    )
    if app.output.as_json:
        app.output.json(taken)
    else:
        app.output.note(f"Task {taken['task']} of run {taken['run_id']} is reported {taken['status']}.")


def _object(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise BadInput(
            f"--discovered is not JSON: {error}", hint='give an object: {"title": "…", "description": "…"}'
        ) from error
