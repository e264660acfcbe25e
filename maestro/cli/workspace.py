"""`maestro workspace`: what the workspaces of tasks have to themselves; one file per command of the group."""

from __future__ import annotations

import click

from maestro.cli.lazy import LazyGroup
from maestro.cli.options import output_options

PARTS = {
    "env": "Show the ports and names of a task's own services, or write its .env.task.",
    "ports": "Show who has which ports on this machine.",
}
"""Command → its line in `maestro workspace --help`; the module `maestro.cli.workspace_<command>` holds it."""


@click.group(cls=LazyGroup, table=PARTS, prefix="workspace_", no_args_is_help=False)
@output_options
def command() -> None:
    """Look at what the workspaces of tasks have to themselves."""
