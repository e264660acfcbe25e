"""Signals become messages: the first ^C lets work finish, the second stops it (E-7)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maestro.engine.messages import Interrupted


@contextmanager
def signals_to(tell: Callable[[Interrupted], None]) -> Iterator[None]:
    """While inside, SIGINT, SIGTERM and SIGHUP are told to the loop instead of ending the process.

    SIGTERM and SIGHUP come from a machine that shuts down or a terminal that is gone: nobody will press ^C a second
    time, so they stop what runs at once, and save it. Afterwards they go where they went before.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    count = 0

    def on_interrupt() -> None:
        nonlocal count
        count += 1
        reason = "interrupted: running work may finish, ^C again stops it" if count == 1 else "interrupted twice"
        tell(Interrupted(min(count, 2), reason))

    try:
        loop.add_signal_handler(signal.SIGINT, on_interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, tell, Interrupted(2, f"stopped by {number.name}"))
    except (ValueError, RuntimeError):
        yield  # not the main thread: whoever started us there deals with signals
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # None: it was not installed from Python
                signal.signal(number, handler)
