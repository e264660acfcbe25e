"""How a run is shown while it goes on: a live table on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from maestro.cli.app import App
from maestro.cli.output import is_screen

if TYPE_CHECKING:
    from maestro.telemetry.observer import Observer


def progress_observers(app: App) -> list[Observer]:
    """Observers that write to standard error, so that standard output is left to the result."""
    if app.output.quiet:
        return []
    if is_screen(sys.stderr):
        from maestro.clock import SystemClock
        from maestro.telemetry.live import LiveObserver

        return [LiveObserver(sys.stderr, SystemClock())]
    from maestro.telemetry.plain import PlainObserver

    return [PlainObserver(sys.stderr)]
