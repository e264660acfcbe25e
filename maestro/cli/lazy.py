"""A click group whose commands are imported only when they are called: `--help` imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """`table`: command → its help line. The command is the attribute `command` of `maestro.cli.<prefix><name>`, with
    `_` for `-`. Those that are `unlisted` work like the others."""

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, str],
        prefix: str = "",
        unlisted: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._prefix = prefix
        self._unlisted = unlisted

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table, which is the order of work."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command."""
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(f"maestro.cli.{self._prefix}{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Like click's own, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, line in self._table.items() if name not in self._unlisted])
