"""Signals before a run has begun and after it has ended (E-7); while it goes on, the engine has them."""

from __future__ import annotations

import signal
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from maestro.model.events import Event

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """An Observer, and around the run: a signal while it begins is one KeyboardInterrupt, whichever it was, so that
    what is held is given back. Once the run has ended, its result is said and the exit code is its own, whatever
    comes."""

    def __init__(self) -> None:
        self._is_deaf = False
        self._was_heard = False  # while it began
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        with suppress(ValueError):  # not the main thread, which deals with signals then
            self._before = {number: signal.signal(number, self._hear) for number in NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before and self._is_deaf:  # the process has its exit code, and only has to leave with it
            _ignore_all()
        else:
            for number, handler in self._before.items():
                signal.signal(number, handler)
        if self._was_heard and isinstance(error, Exception):
            # native code in which the interrupt was met may hand it on as an error of its own
            raise KeyboardInterrupt from error

    def notify(self, event: Event) -> None:
        """From its last event on nothing can be stopped any more."""
        self._is_deaf = self._is_deaf or getattr(event, "type", "") == "run_ended"

    def close(self) -> None:
        """Nothing is held."""

    def _hear(self, *_signal_and_frame: object) -> None:
        if not self._is_deaf:
            self._is_deaf = self._was_heard = True
            raise KeyboardInterrupt


def _ignore_all() -> None:
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)
