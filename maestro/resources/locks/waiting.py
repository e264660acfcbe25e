"""Waiting for a lock without an event loop."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from maestro.resources.locks.base import LockStatus, Resource, WaitedTooLong, Who, held_by
from maestro.resources.locks.queue import Held, Turn
from maestro.resources.locks.status import status

_LONGEST_SECONDS = 86_400.0


def wait_for_lock(
    folder: Path,
    resource: Resource,
    who: Who,
    *,
    environ: Mapping[str, str],
    wait_seconds: float | None = None,
    on_queued: Callable[[LockStatus], None] | None = None,
) -> Held:
    """Blocks until it is ours. WaitedTooLong after `wait_seconds`; `on_queued` is called once, where it has to wait.
    Other errors as from `Turn`."""
    turn = Turn(folder, resource, who, environ)
    ends = None if wait_seconds is None else time.monotonic() + wait_seconds
    try:
        while True:
            step = turn.advance()
            if isinstance(step, Held):
                return step
            if ends is not None and time.monotonic() >= ends:
                raise too_long(folder, resource, wait_seconds or 0.0)
            if on_queued is not None:
                on_queued(status(folder, resource))
                on_queued = None
            _poll(step.fds, earlier(step.until, ends))
    finally:
        turn.leave()


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two times, of which None never comes."""
    return min((time for time in (one, other) if time is not None), default=None)


def too_long(folder: Path, resource: Resource, seconds: float) -> WaitedTooLong:
    """The words for a waiter whose time is up."""
    holders = held_by(status(folder, resource))
    return WaitedTooLong(
        f"the lock {resource.name} was not free within {seconds:g} s{f': it is held by {holders}' if holders else ''}",
        hint="wait longer, or try again later",
    )


def milliseconds_until(until: float | None) -> int | None:
    """How long to poll; less than that where it is longer than a poll can take. Rounded up: one that ends too early
    would be done again and again."""
    return None if until is None else max(0, int(min(until - time.monotonic(), _LONGEST_SECONDS) * 1000) + 1)


def _poll(fds: tuple[int, ...], until: float | None) -> None:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    poll.poll(milliseconds_until(until))
