"""`maestro notes`: what tasks and people said to each other in a run (E-10)."""

from __future__ import annotations

import click

from maestro.cli.app import App
from maestro.cli.options import output_options


@click.command()
@click.option("--for", "reader", metavar="TASK", help="Only those that the next prompt of this task would show.")
@click.option("--run-id", metavar="ID", help="Which run (default: the agent's own, or the newest).")
@output_options
@click.pass_obj
def command(app: App, reader: str | None, run_id: str | None) -> None:
    """Show the notes of a run, the oldest first."""
    from maestro.clock import as_z
    from maestro.errors import BadInput
    from maestro.model.note import notes_for
    from maestro.store.board import note_object, read_board
    from maestro.store.standing import known_run, newest_runs
    from maestro.telemetry.oneline import one_line

    layout = app.layout_of_caller()
    asked = run_id or app.environ.get("MAESTRO_RUN_ID") or next(iter(newest_runs(layout)), None)
    if asked is None:
        raise BadInput(f"there was no run yet in {layout.repository}", hint="start one with `maestro run`")
    app.hide_what_is_secret_in(layout, asked)
    notes = read_board(layout.board(known_run(layout, asked)))
    if reader is not None:
        notes = tuple(sorted(notes_for(reader, notes), key=lambda note: note.at))
    if app.output.as_json:
        app.output.json({"run_id": asked, "notes": [note_object(note) for note in notes]})
        return
    for note in notes:
        who = f"{note.from_task or 'a person'} to {note.to_task or 'all'}"
        app.output.text(
            f"{as_z(note.at)}  {one_line(who)}", *(f"  {one_line(line)}" for line in note.text.splitlines())
        )
    if not notes:
        app.output.note(f"No note in run {asked}.")
