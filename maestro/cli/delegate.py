"""`maestro delegate`: a run whose tasks are done by the subagents of your own session (C-3)."""

from __future__ import annotations

import math
from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import delegate_options, output_options

WAIT_SECONDS = 60.0
"""A start waits so long for the first workspaces; what comes later is given out by `next`."""


class _Wait(click.FloatRange):
    """Seconds, from 0 on; no number is in every range, and never over."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("it must be a number of seconds", param, ctx)
        return seconds


@click.group()
@output_options
def command() -> None:
    """Let the subagents of your own session do the tasks: maestro plans, prepares workspaces and lands."""


@command.command()
@delegate_options
@click.option("--agents", metavar="A,B,C", help="The types of subagents that the session has (default: looked up).")
@click.option(
    "--wait",
    "wait_seconds",
    type=_Wait(min=0),
    default=WAIT_SECONDS,
    metavar="SECONDS",
    help="Wait at most so long for what can start at once (default: 60).",
)
@output_options
@click.pass_obj
def start(app: App, flags: dict[str, Any], run_id: str | None, agents: str | None, wait_seconds: float) -> None:
    """Start a run in the background, and give out what can start at once.

    Takes the options of `maestro run`, and refuses what that refuses.
    """
    from maestro.cli.delegation import say, start_run

    say(app, start_run(app, flags, run_id, agents, wait_seconds))


@command.command("next")
@click.option("--run-id", metavar="R", help="Which run (default: the only one that waits for a session).")
@click.option(
    "--wait",
    "wait_seconds",
    type=_Wait(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait at most so long for something to launch, or the end of the run (default: 0).",
)
@click.option("--again", multiple=True, metavar="TASK", help="Give this out once more: nobody works on it; several.")
@output_options
@click.pass_obj
def next_(app: App, run_id: str | None, wait_seconds: float, again: tuple[str, ...]) -> None:
    """Give out what has become ready and nobody was given yet."""
    from maestro.cli.delegation import say
    from maestro.store.delegated import delegate_object, delegate_run_meant, given_out, take_offers

    layout = app.layout_of_caller()
    run = delegate_run_meant(layout, run_id)
    once_more = given_out(layout, run, again)
    say(app, delegate_object(layout, run, [*once_more, *take_offers(layout, run, 0.0 if again else wait_seconds)]))


@command.command(hidden=True)
@delegate_options
@click.option("--agents", metavar="A,B,C")
@click.option("--session", metavar="PID:STARTED", help="The process with which the run ends.")
@output_options
@click.pass_obj
def coordinate(app: App, flags: dict[str, Any], run_id: str, agents: str | None, session: str | None) -> int:
    """The run itself, as `start` leaves it in the background."""
    from maestro.cli.delegation import coordinate as carry_out

    return carry_out(app, flags, run_id, agents, session)
