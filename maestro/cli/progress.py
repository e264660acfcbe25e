"""How a run is shown while it goes on: a live table on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from maestro.cli import collecting
from maestro.cli.app import App
from maestro.cli.output import is_screen

if TYPE_CHECKING:
    from maestro.model.events import Event
    from maestro.telemetry.observer import Observer


def when_it_begins(app: App, *others: Observer) -> Iterator[Observer]:
    """All observers of a run, made when it begins: before, nothing of them is needed."""
    yield from progress_observers(app)
    yield from others
    yield _Begun()


class _Begun:
    """Nothing more is loaded from the first event on."""

    def notify(self, event: Event) -> None:
        del event
        collecting.as_usual()

    def close(self) -> None:
        """Nothing is held."""


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
