"""A backlog on standard input (T-7): `--todos -`, `--tasks-file -`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.errors import BadInput

if TYPE_CHECKING:
    from maestro.config.settings import Settings


def text_for(settings: Settings) -> str | None:
    """What stands on standard input, where the settings say that the backlog is there."""
    if settings.tasks_file != Path("-"):
        return None
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("standard input is not UTF-8 text", hint="give the tasks as JSON") from error
