"""Where the server stands, and what a tool gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where the server works, and with which variables."""

    directory: Path
    environ: Mapping[str, str]
    config_file: Path | None = None


@dataclass(frozen=True)
class Answer:
    """The object of a tool's result, and what a person should be told beside it."""

    value: dict[str, Any]
    warnings: tuple[str, ...] = ()
