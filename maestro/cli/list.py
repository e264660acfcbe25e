"""`maestro list`: the groups that ran here, and how they stand."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import output_options
from maestro.store.standing import all_groups, is_alive, run_of_group

STATUSES = ("pending", "in_progress", "completed", "failed", "blocked")


@click.command()
@click.option(
    "--status",
    type=click.Choice(("all", *STATUSES)),
    is_flag=False,
    flag_value="all",
    default="all",
    help="Only groups of this status.",
)
@output_options
@click.pass_obj
def command(app: App, status: str) -> None:
    """List the groups that ran here."""
    layout = app.layout()
    groups = [_brief(one) for one in all_groups(layout) if status in ("all", one.get("status"))]
    for group in groups:
        open_still = group["status"] in ("pending", "in_progress")
        group["alive"] = bool(open_still and group["run_id"] and is_alive(layout, group["run_id"]))
    if app.output.as_json:
        app.output.json({"groups": groups})
    elif not groups:
        app.output.text("No group yet." if status == "all" else f"No group is {status}.")
    else:
        rows = [(g["group_id"], g["status"], g["phase"], f"{g['completed']}/{g['total']}", g["run_id"]) for g in groups]
        app.output.text(*columns([("GROUP", "STATUS", "PHASE", "LANDED", "RUN"), *rows]))


def _brief(metadata: dict[str, Any]) -> dict[str, Any]:
    results = metadata.get("results", [])
    return {
        "group_id": str(metadata.get("group_id", "")),
        "status": str(metadata.get("status", "")),
        "phase": str(metadata.get("phase", "")),
        "completed": sum(result.get("status") == "completed" for result in results),
        "total": len(metadata.get("tasks", [])),
        "run_id": run_of_group(metadata),
    }
