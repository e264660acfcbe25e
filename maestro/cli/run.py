"""`maestro run`: the backlog, run in parallel and landed."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, run_options
from maestro.errors import BadInput

if TYPE_CHECKING:
    from maestro.cli.interrupts import Interrupts
    from maestro.vcs.git import Git


@click.command("run")
@run_options
@click.option("--background", is_flag=True, help="Start it, and leave it to itself; `maestro wait` waits for its end.")
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None, background: bool) -> int:
    """Run the backlog: agents in workspaces of their own, finished work landed and checked."""
    return leave_to_itself(app, flags, run_id) if background else run_backlog(app, flags, run_id)


def leave_to_itself(app: App, flags: dict[str, Any], run_id: str | None) -> int:
    """Start it in a process that outlives this one and the session or terminal around it; refused as a run is."""
    from maestro import background
    from maestro.cli.outcome import say_outcome
    from maestro.cli.standard_input import text_for
    from maestro.clock import SystemClock
    from maestro.model.result import EXIT_CODES
    from maestro.model.states import RunStatus
    from maestro.wiring.preparing import new_run_id

    layout = app.layout()
    settings = app.load(flags, repository=layout.repository).settings
    begun = background.start_run(
        layout,
        app.directory,
        background.arguments_of(flags),
        run_id=new_run_id(SystemClock()) if run_id is None else run_id,
        environ=app.environ,
        config_file=app.config_file.absolute() if app.config_file else None,
        standard_input=text_for(settings),
    )
    if begun["status"] != RunStatus.RUNNING:
        say_outcome(app, begun)
        return EXIT_CODES[RunStatus(begun["status"])]
    if app.output.as_json:
        app.output.json(begun)
    else:
        app.output.text(f"Run {begun['run_id']} goes on by itself; `maestro wait --run-id {begun['run_id']}`.")
    return 0


def run_backlog(app: App, flags: dict[str, Any], run_id: str | None) -> int:
    """Run it and say how it ended; the exit code."""
    from maestro.cli.interrupts import Interrupts

    with Interrupts() as interrupts:
        return _run(app, flags, run_id, interrupts)


def _run(app: App, flags: dict[str, Any], run_id: str | None, interrupts: Interrupts) -> int:
    from maestro.cli.outcome import say_outcome
    from maestro.cli.progress import when_it_begins
    from maestro.cli.standard_input import text_for

    git = _ask_git(app)
    from maestro.coordinator import ParallelCoordinator

    settings = app.load(flags, repository=git.directory).settings
    text = text_for(settings)
    coordinator = ParallelCoordinator.opened(git, environ=app.environ)
    observers = when_it_begins(app, interrupts)
    ended = coordinator.run(settings, run_id=run_id, observers=observers, standard_input=text)
    say_outcome(app, ended.result)
    return ended.exit_code


def _ask_git(app: App) -> Git:
    """What every run asks first: git is another process, and answers while hundreds of modules are loaded here. They
    are loaded in a thread, and git is asked in this one: an interrupt ends a git that hangs."""
    from concurrent.futures import ThreadPoolExecutor, wait

    from maestro.proc.children import end_own_children
    from maestro.vcs.git import require_version

    with ThreadPoolExecutor(1) as beside:
        loading = beside.submit(import_module, "maestro.coordinator")
        try:
            git = app.git()
            with suppress(BadInput):  # it is remembered, and refused where it would be without this
                require_version()
        except BaseException:  # an interrupt between the start of a git and the moment in which somebody knows of it
            end_own_children()
            raise
        finally:
            wait([loading])
    loading.result()
    return git
