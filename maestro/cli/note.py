"""`maestro note`: tell other tasks of a run something their prompts will show (E-10)."""

from __future__ import annotations

import sys

import click

from maestro.cli.app import App
from maestro.cli.options import output_options


@click.command()
@click.argument("text")
@click.option("--to", metavar="TASK", help="For this task (default: for all that start later).")
@click.option(
    "--from", "sender", metavar="TASK", help="Who says so (default: the task whose agent calls, or a person)."
)
@click.option("--run-id", metavar="ID", help="Which run (default: the agent's own, or the only one under way).")
@output_options
@click.pass_obj
def command(app: App, text: str, to: str | None, sender: str | None, run_id: str | None) -> None:
    """Leave a note on the board of a run: prompts that are made from now on show it. TEXT - is standard input."""
    from maestro.clock import SystemClock
    from maestro.store.board import note_object, post_as
    from maestro.workspaces.marker import variables_of_workspace

    layout = app.layout_of_caller()
    said = sys.stdin.read() if text == "-" else text
    caller = {**variables_of_workspace(app.directory), **app.environ}
    run, note = post_as(
        caller,
        layout,
        said,
        clock=SystemClock(),
        run_id=run_id,
        from_task=sender,
        to_task=to,
        redactor=app.redactor_for(layout.repository),
    )
    if app.output.as_json:
        app.output.json({"run_id": run, **note_object(note)})
    else:
        app.output.note(f"Prompts of {f'task {to}' if to else 'all tasks'} of run {run} show it from now on.")
