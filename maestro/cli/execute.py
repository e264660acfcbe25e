"""`maestro execute`: one parallel group (C-2)."""

from __future__ import annotations

from typing import Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options, run_options
from maestro.errors import BadInput


@click.command("execute")
@run_options
@output_options
@click.pass_obj
def command(app: App, flags: dict[str, Any], run_id: str | None) -> int:
    """Run one parallel group of the backlog, by --group-id."""
    from maestro.cli.run import run_backlog

    if not flags.get("group_id"):
        raise BadInput("execute needs a group", hint="name it with --group-id X; `maestro detect` lists the groups")
    return run_backlog(app, flags, run_id)
