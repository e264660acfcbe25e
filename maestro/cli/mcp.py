"""`maestro mcp`: an MCP server for clients such as Claude Code (C-4)."""

from __future__ import annotations

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import BadInput

VERSION = 2
"""Of the package `mcp`: its first version had another interface."""


@click.command("mcp")
@output_options
@click.pass_obj
def command(app: App) -> None:
    """Serve plan, run, status, wait, note and report to an MCP client on standard input and output.

    For Claude Code: claude mcp add maestro -- maestro mcp
    """
    check_package()
    from maestro.mcp.place import Place
    from maestro.mcp.server import serve

    app.check_directory()
    config = app.config_file
    serve(Place(app.directory, app.environ, None if config is None else config.absolute()))


def check_package() -> None:
    """BadInput where the package is missing, or not of the version that is needed."""
    from importlib.metadata import PackageNotFoundError, version

    hint = "install it with: pip install 'flow-maestro[mcp]'"
    try:
        found = version("mcp")
    except PackageNotFoundError as error:
        raise BadInput("the MCP server needs the Python package mcp, which is not installed", hint=hint) from error
    if found.partition(".")[0] != str(VERSION):
        raise BadInput(f"the MCP server needs version {VERSION} of the Python package mcp, not {found}", hint=hint)
