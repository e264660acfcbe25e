"""`maestro resume`: go on with a run that died, was interrupted, or waits for a person (E-6)."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, resume_options


@click.command("resume")
@resume_options
@click.option("--run-id", metavar="ID", help="The run (default: the only one that is unfinished).")
@click.option("--retry-failed", is_flag=True, help="Try failed tasks again too, with a new allowance of attempts.")
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None, retry_failed: bool) -> int:
    """Go on with a run that died, was interrupted, or waits for a person.

    Agents that still work are adopted, those that have ended are judged by what they left, a landing that was
    half done is finished. The run goes on with the settings of its start, but for those given here.
    """
    from maestro.cli.interrupts import Interrupts
    from maestro.cli.outcome import say_outcome
    from maestro.cli.progress import when_it_begins
    from maestro.coordinator import ParallelCoordinator

    with Interrupts() as interrupts:
        repository = app.repository()
        current = app.load(flags, repository=repository).settings
        coordinator = ParallelCoordinator.opened(app.git(), environ=app.environ)
        ended = coordinator.resume(
            current,
            run_id=run_id,
            flags=flags,
            retry_failed=retry_failed,
            observers=when_it_begins(app, interrupts),
        )
        say_outcome(app, ended.result)
        return ended.exit_code
