"""`maestro run`: the backlog, run in parallel and landed."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, run_options


@click.command("run")
@run_options
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None) -> int:
    """Run the backlog: agents in workspaces of their own, finished work landed and checked."""
    return run_backlog(app, flags, run_id)


def run_backlog(app: App, flags: dict[str, Any], run_id: str | None) -> int:
    """Run it and say how it ended; the exit code."""
    from maestro.cli.outcome import say_outcome
    from maestro.cli.progress import progress_observers
    from maestro.cli.standard_input import text_for
    from maestro.coordinator import ParallelCoordinator

    repository = app.repository()
    settings = app.load(flags, repository=repository).settings
    text = text_for(settings)
    coordinator = ParallelCoordinator(repository, environ=app.environ)
    ended = coordinator.run(settings, run_id=run_id, observers=progress_observers(app), standard_input=text)
    say_outcome(app, ended.result)
    return ended.exit_code
