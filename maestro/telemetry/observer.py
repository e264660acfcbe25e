"""Observers are told what happened; one that fails never stops a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast, runtime_checkable

from maestro.errors import MaestroError
from maestro.model.events import Event
from maestro.model.run import Run

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Anything that wants to know: terminal, metadata.json, metrics, history."""

    def notify(self, event: Event) -> None:
        """Called in order, from the event loop's thread, after the event is durable. Must be quick."""
        ...

    def close(self) -> None:
        """After the last event."""
        ...


@runtime_checkable
class Restoring(Protocol):
    """An observer for which what happened before a resume is not the same as what happens now."""

    def restore(self, events: Sequence[Event]) -> None:
        """Called once, before the first event: all earlier events of the run."""
        ...


@runtime_checkable
class Following(Protocol):
    """An observer that shows the run as it stands: it is told that too, and keeps no second one of its own."""

    def follow(self, event: Event, run: Run) -> None:
        """Called instead of `notify`; `run` is that after the event."""
        ...


class FanOut:
    """Tells every observer; a failing one is logged once and left out from then on."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)
        # asked once: it takes Python longer than most observers take for an event
        self._following = {id(observer) for observer in self._observers if isinstance(observer, Following)}

    def notify(self, event: Event, run: Run | None = None) -> None:
        """Tell all of them; `run` is how it stands after the event, where that is known."""

        def tell(observer: Observer) -> None:
            if run is not None and id(observer) in self._following:
                cast(Following, observer).follow(event, run)
            else:
                observer.notify(event)

        self._each(tell)

    def restore(self, events: Sequence[Event]) -> None:
        """Let all of them know what happened before the run was resumed."""

        def catch_up(observer: Observer) -> None:
            if isinstance(observer, Restoring):
                observer.restore(events)
                return
            for event in events:
                observer.notify(event)

        self._each(catch_up)

    def close(self) -> None:
        """Close all of them."""
        self._each(lambda observer: observer.close())

    def _each(self, call: Callable[[Observer], None]) -> None:
        for observer in list(self._observers):
            try:
                call(observer)
            except (MaestroError, OSError) as error:  # a full disk and the like: no bug, so no traceback
                log.warning("observer %s failed and is left out: %s", type(observer).__name__, error)
                self._observers.remove(observer)
            except Exception:
                log.exception("observer %s failed and is left out", type(observer).__name__)
                self._observers.remove(observer)
