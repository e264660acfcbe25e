"""Waiting for a lock in an event loop: nothing of it blocks the loop, and nothing polls."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from maestro.resources.locks.base import LockStatus, Resource, Who
from maestro.resources.locks.queue import Held, Pending, Turn, take_again
from maestro.resources.locks.status import status
from maestro.resources.locks.waiting import earlier, too_long


async def acquire(
    folder: Path,
    resource: Resource,
    who: Who,
    *,
    wait_seconds: float | None = None,
    on_queued: Callable[[LockStatus], None] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Held:
    """A slot of the resource, in the order of coming; release it with `Held.release`.

    Where `who.outlives` and a slot was taken for the same family by a process that has died since, that slot again, at
    once. `on_queued` is called once, where it has to wait. WaitedTooLong after `wait_seconds`, BadInput for a bad name,
    Busy where this process works under the lock itself (`environ`, by default its own, says so), StateError where the
    folder cannot be used. When cancelled, nothing is held.
    """
    waiter = _Waiter(folder, resource, who, os.environ if environ is None else environ)
    ends = None if wait_seconds is None else time.monotonic() + wait_seconds
    try:
        while True:
            step = await waiter.step()
            if isinstance(step, Held):
                return step
            if ends is not None and time.monotonic() >= ends:
                raise await asyncio.to_thread(too_long, folder, resource, wait_seconds or 0.0)
            if on_queued is not None:
                on_queued(await asyncio.to_thread(status, folder, resource))
                on_queued = None
            await _ready(step.fds, earlier(step.until, ends))
    except BaseException:
        waiter.give_up()
        raise


class _Waiter:
    """A turn that is moved on in threads. When it is given up while a thread is at it, that thread gives back what it
    got: the loop may be gone by then. What it got just before nobody has heard of, and is given back too."""

    def __init__(self, folder: Path, resource: Resource, who: Who, environ: Mapping[str, str]) -> None:
        self._arguments = (folder, resource, who, environ)
        self._turn: Turn | None = None
        self._held: Held | None = None
        self._lock = threading.Lock()
        self._is_moving = False
        self._is_given_up = False

    async def step(self) -> Held | Pending:
        self._is_moving = True
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._move))

    def give_up(self) -> None:
        with self._lock:
            self._is_given_up = True
            if not self._is_moving:
                self._give_back()

    def _move(self) -> Held | Pending:
        try:
            step = self._advance()
            self._held = step if isinstance(step, Held) else None
            return step
        finally:
            with self._lock:
                self._is_moving = False
                if self._is_given_up:
                    self._give_back()

    def _advance(self) -> Held | Pending:
        if self._turn is None:
            if (again := take_again(*self._arguments[:3])) is not None:
                return again
            self._turn = Turn(*self._arguments)
        return self._turn.advance()

    def _give_back(self) -> None:
        if self._turn is not None:
            self._turn.leave()
        if self._held is not None:
            self._held.release()


async def _ready(fds: tuple[int, ...], until: float | None) -> None:
    """Until one of them hangs up or can be read, or it is time."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    for fd in fds:
        loop.add_reader(fd, wake)
    timer = None if until is None else loop.call_later(max(0.0, until - time.monotonic()), wake)
    try:
        await ready
    finally:
        for fd in fds:
            loop.remove_reader(fd)
        if timer is not None:
            timer.cancel()
