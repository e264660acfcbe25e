"""`maestro status`: how the newest runs, one run or one group stand."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.budgets import budget_lines, spent_line
from maestro.cli.columns import columns
from maestro.cli.options import output_options
from maestro.errors import MaestroError
from maestro.store.standing import (
    DIED,
    group_metadata,
    is_alive,
    known_run,
    newest_object,
    result_of_run,
    run_of_group,
)

if TYPE_CHECKING:
    from maestro.config.settings import Settings


@click.command()
@click.option("--group-id", metavar="X", help="Show this group.")
@click.option("--run-id", metavar="ID", help="Show this run.")
@output_options
@click.pass_obj
def command(app: App, group_id: str | None, run_id: str | None) -> None:
    """Show how the newest runs stand, or one run, or one group."""
    if group_id is not None and run_id is not None:
        raise click.UsageError("--group-id and --run-id exclude each other")
    if group_id is not None:
        _show_group(app, group_id)
    elif run_id is not None:
        _show_run(app, run_id)
    else:
        _show_newest(app)


def _show_newest(app: App) -> None:
    newest = newest_object(app.layout())
    runs = newest["runs"]
    found = _resources(app, [run["run_id"] for run in runs if run["alive"]])
    newest |= {"resources": found} if found else {}
    if app.output.as_json:
        app.output.json(newest)
    elif not runs:
        app.output.text("No run yet.")
    else:
        rows = [(run["run_id"], run["status"], _counts(run["counts"]), _reason(run)) for run in runs]
        app.output.text(*columns([("RUN", "STATUS", "TASKS", ""), *rows]))
        if newest["total_runs"] > len(runs):
            app.output.text(f"… and {newest['total_runs'] - len(runs)} older runs")
    if not app.output.as_json:
        _show_resources(app, found)


def _resources(app: App, alive: list[str]) -> list[dict[str, Any]]:
    """Which named resources are held or waited for, by these runs or by anybody here."""
    from maestro.wiring.inuse import resources_in_use

    return resources_in_use(lambda: _settings(app), app.repository(), alive, app.environ)


def _settings(app: App) -> Settings:
    with suppress(MaestroError):  # where the configuration is in no good state, the names on disk tell enough
        return app.load_silently(repository=app.repository()).settings
    from maestro.config.settings import Settings

    return Settings()


def _show_resources(app: App, found: list[dict[str, Any]]) -> None:
    from maestro.wiring.inuse import resource_lines

    app.output.text(*resource_lines(found))


def _reason(run: dict[str, Any]) -> str:
    return run["reason"] or "; ".join(hold["words"] for hold in run["holds"])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _show_run(app: App, run_id: str) -> None:
    layout = app.layout()
    result = result_of_run(layout, known_run(layout, run_id))
    found = _resources(app, [run_id]) if result["alive"] else []
    result |= {"resources": found} if found else {}
    if app.output.as_json:
        app.output.json(result)
        return
    because = f": {result['reason']}" if result.get("reason") else ""
    app.output.text(f"Run {run_id}: {result['status']}{because}")
    if result.get("integration_branch"):
        app.output.text(f"Integration branch: {result['integration_branch']}")
    metrics = result.get("metrics", {})
    app.output.text(*spent_line(metrics), *budget_lines(metrics))
    if result.get("sequential"):
        app.output.text(f"One task at a time: {result['sequential']}")
    app.output.text(*(f"Account {hold['words']}" for hold in result.get("holds", ())))
    if result.get("throttled"):
        app.output.text(f"No more is started for now: {result['throttled']}")
    waits = {wait["task"]: wait["words"] for wait in result.get("waits", ())}
    if None in waits:
        app.output.text(f"The gate {waits[None]}")
    _show_resources(app, found)
    rows = [
        (
            task,
            one.get("state", one["status"]),
            _times(one["attempts"]),
            (one["commit"] or "")[:10],
            waits.get(task) or _why(one),
        )
        for task, one in result["tasks"].items()
    ]
    app.output.text(*columns(rows))


def _why(one: dict[str, Any]) -> str:
    return f"suspected: {one['suspected']}" if one.get("suspected") else str(one["reason"])


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def _show_group(app: App, group_id: str) -> None:
    layout = app.layout()
    metadata = group_metadata(layout, group_id)
    if app.output.as_json:
        app.output.json(metadata)
        return
    run_id = run_of_group(metadata)
    app.output.text(f"{metadata.get('group_name', group_id)}: {metadata.get('status')} ({metadata.get('phase')})")
    if metadata.get("status") in ("pending", "in_progress") and run_id and not is_alive(layout, run_id):
        app.output.text(f"Run {run_id}: {DIED}")
    rows = [
        (str(one.get("task_id")), str(one.get("status")), str(one.get("subagent") or ""), str(one.get("reason", "")))
        for one in metadata.get("results", [])
    ]
    app.output.text(*columns(rows))
    app.output.text(*(f"Error: {error}" for error in metadata.get("errors", [])))
