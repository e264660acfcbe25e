"""Who gets a key next: first come, first served, however many wait (A-6)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable
from typing import NamedTuple

from maestro.resources.keypool import KeyPool


class Lease(NamedTuple):
    """A key for one request, sent now."""

    key: int
    ticket: int


class Place(NamedTuple):
    """A request's place in the queue; it keeps it when it must ask for another key."""

    number: int
    arrived: float


class TooLong(Exception):
    """No key can be had within the time that a client waits."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no key for {seconds:.0f} s")
        self.seconds = max(1, math.ceil(seconds))


class Turnstile:
    """Gives out the pool's keys in the order of arrival. Belongs to one event loop."""

    def __init__(self, pool: KeyPool, *, bound_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._bound = bound_seconds
        self._now = monotonic
        self._numbers = itertools.count()
        self._waiting: list[tuple[Place, asyncio.Future[Lease]]] = []  # heap
        self._timer: asyncio.TimerHandle | None = None

    def place(self) -> Place:
        """The place at the end of the queue."""
        return Place(next(self._numbers), self._now())

    @property
    def waiting(self) -> int:
        """How many requests wait for a key."""
        return sum(not future.done() for _, future in self._waiting)

    async def enter(self, place: Place) -> Lease:
        """Wait for a key. TooLong, at once or later, where it would take longer than the bound from the arrival on."""
        now = self._now()
        before = sum(one < place and not future.done() for one, future in self._waiting)
        if (moment := self._pool.free_at(before, now)) - place.arrived > self._bound:
            raise TooLong(moment - now)
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, future))
        self._turn()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.never_sent(future.result())  # it came in the very moment in which the client left
            future.cancel()
            self._turn()
            raise

    def sent(self, lease: Lease) -> None:
        """Some of the request has left just now."""
        self._pool.sent(*lease, self._now())

    def answered(self, lease: Lease) -> None:
        """The provider's answer has begun, or none will come."""
        self._pool.answered(*lease, self._now())
        self._turn()

    def never_sent(self, lease: Lease) -> None:
        """Nothing of the request has reached the provider."""
        self._pool.never_sent(*lease)
        self._turn()

    def rest(self, key: int, seconds: float) -> None:
        """Leave a key alone for so long."""
        self._pool.rest(key, self._now() + seconds)
        self._turn()

    def _turn(self) -> None:
        """Give out what is free, turn away whoever would wait too long, and come again when the next key is free."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        while self._waiting:
            _, future = self._waiting[0]
            if not future.done():
                taken = self._pool.take(now)
                if taken is None:
                    break
                future.set_result(Lease(*taken))
            heapq.heappop(self._waiting)
        if not self._waiting:
            return
        free = self._pool.next_free_at(now)
        for place, future in self._waiting:
            if free - place.arrived > self._bound and not future.done():
                future.set_exception(TooLong(free - now))
        self._timer = asyncio.get_running_loop().call_later(max(free - now, 0.001), self._turn)
