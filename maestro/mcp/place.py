"""Where the server stands, and what a tool gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from maestro.mcp.locking import Commands
from maestro.model.redaction import Redactor, redactor_of


@dataclass(frozen=True)
class Place:
    """Where the server works, and with which variables."""

    directory: Path
    environ: Mapping[str, str]
    config_file: Path | None = None

    @cached_property
    def redactor(self) -> Redactor:
        """What is secret: variables, and what calls add to them."""
        return redactor_of(self.environ)

    @cached_property
    def commands(self) -> Commands:
        """What runs under locks for the client."""
        return Commands()


@dataclass(frozen=True)
class Answer:
    """The object of a tool's result, and what a person should be told beside it."""

    value: dict[str, Any]
    warnings: tuple[str, ...] = ()
