"""`maestro plan`: what would run when; changes nothing (P-7)."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, run_options
from maestro.errors import BadInput, MaestroError

if TYPE_CHECKING:
    from maestro.model.plan import Plan

FORMATS = ("text", "json", "dot", "mermaid", "svg")
DRAWING_SECONDS = 120.0


@click.command()
@run_options
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to show it (default: text).")
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None, form: str | None) -> int:  # noqa: ARG001 - of C-1a
    """Show what would run when, and at the same time as what; changes nothing.

    Exit code 2 where a problem makes the plan impossible.
    """
    from maestro.cli.standard_input import text_for
    from maestro.coordinator import ParallelCoordinator
    from maestro.wiring.backlog import plan_backlog

    if form not in (None, "json") and app.output.as_json:
        raise click.UsageError(f"--json and --format {form} exclude each other")
    git = ParallelCoordinator(app.directory, environ=app.environ).open()
    settings = app.load(flags, repository=git.directory).settings
    backlog = plan_backlog(git, settings, standard_input=text_for(settings), environ=app.environ)
    app.output.note(f"Backlog: {backlog.why}.")
    show(app, backlog.plan, "json" if app.output.as_json else form or "text")
    return _verdict(app, backlog.plan)


def show(app: App, plan: Plan, form: str) -> None:
    """Print the plan in one of the formats."""
    from maestro.planning.render_graph import render_dot, render_mermaid
    from maestro.planning.render_json import plan_object
    from maestro.planning.render_text import render_text

    match form:
        case "json":
            app.output.json(plan_object(plan))
        case "dot":
            app.output.text(render_dot(plan).rstrip("\n"))
        case "mermaid":
            app.output.text(render_mermaid(plan).rstrip("\n"))
        case "svg":
            app.output.raw(drawn(app.output.redactor.mask(render_dot(plan)), app.environ.get("PATH")))
        case _:
            app.output.text(render_text(plan).rstrip("\n"))


def drawn(dot: str, path: str | None) -> bytes:
    """The picture of a DOT text as SVG; BadInput where Graphviz is missing."""
    tool = shutil.which("dot", path=path)
    if tool is None:
        raise BadInput(
            "an SVG picture needs Graphviz, whose `dot` was not found on PATH",
            hint="install graphviz, or use --format dot or mermaid",
        )
    try:
        done = subprocess.run(
            [tool, "-Tsvg"], input=dot.encode(), capture_output=True, timeout=DRAWING_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MaestroError(
            f"Graphviz did not draw the plan within {DRAWING_SECONDS:g} s", hint="use --format dot or mermaid"
        ) from error
    if done.returncode != 0:
        raise MaestroError(f"Graphviz failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _verdict(app: App, plan: Plan) -> int:
    problems = plan.problems
    if not problems or plan.is_all_done:
        return 0
    others = len(problems) - 1
    more = f" (and {others} more problem{'s' if others > 1 else ''})" if others else ""
    app.output.complain(problems[0].message + more)
    return BadInput.exit_code
