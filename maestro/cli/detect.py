"""`maestro detect`: the parallel groups of a backlog (P-2); works outside of a repository too."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import TRACKERS, complete_file, output_options


@click.command()
@click.option("--tasks-file", metavar="FILE", help="The backlog; - is standard input.", shell_complete=complete_file)
@click.option("--tracker", type=click.Choice(TRACKERS), help="Where the backlog is kept (default: auto).")
@output_options
@click.pass_obj
def command(app: App, /, **flags: Any) -> None:
    """List the parallel groups of a backlog; tasks without one are under _sequential."""
    from maestro.cli.standard_input import text_for
    from maestro.planning.markers import detect_groups
    from maestro.trackers.registry import open_tracker

    repository = app.repository_if_any()
    settings = app.load(flags, repository=repository).settings
    text = text_for(settings)
    tracker = open_tracker(
        "todos" if text is not None else settings.tracker,
        repository=repository or app.directory,
        source=None if text is not None else settings.tasks_file,
        text=text,
        environ=app.environ,
    )
    groups = {group: [task.id for task in tasks] for group, tasks in detect_groups(tracker.load()).items()}
    if app.output.as_json:
        app.output.json({"groups": groups})
    else:
        app.output.text(*columns((group, ", ".join(ids)) for group, ids in groups.items()))
