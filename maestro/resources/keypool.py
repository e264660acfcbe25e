"""Requests spread over API keys that each have a rate: pure scheduling, the clock is the caller's (A-6).

A provider counts a request some time between its sending and the first byte of the answer. So a request holds one of
its key's places from before its sending until a whole window after its answer has begun: however the network delays one
request and speeds another, no window of the provider's ever holds more than the rate. An answer that is long in coming
keeps its place for `slack` longer than a window at most, counted from when the last of the request has left: none is
on its way for longer than that.

Rejected: a token bucket, which lets twice the rate through in one window (a full bucket, and what flows in after);
windows aligned to the minute, which do the same at their edge; counting from the sending, which the network squeezes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

WINDOW_SECONDS = 60.0
_SLACK = 1 / 12  # of a window: 5 s of a minute
_MARGIN = 1 / 1000  # of a window: two clocks never run quite alike


class _Key:
    """One key: who holds its places until when."""

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self.total = 0
        self.rests_until = 0.0
        self.flying: dict[int, float] = {}  # ticket → when its place is free at the latest, in order of time
        self.answered: list[float] = []  # heap: when the places of answered requests are free

    def forget(self, now: float) -> None:
        """Give back the places that are free by now."""
        while self.answered and self.answered[0] <= now:
            heapq.heappop(self.answered)
        while self.flying and (first := next(iter(self.flying))) is not None and self.flying[first] <= now:
            del self.flying[first]

    @property
    def used(self) -> int:
        return len(self.flying) + len(self.answered)

    def is_free(self, now: float) -> bool:
        return self.rests_until <= now and (self.rate is None or self.used < self.rate)

    def free_at(self, now: float) -> float:
        """The first moment at which it can be used, as far as is known now."""
        at = max(now, self.rests_until)
        if self.rate is None or self.used < self.rate:
            return at
        ends = sorted([*self.flying.values(), *self.answered])
        return max(at, ends[self.used - self.rate])


class KeyPool:
    """Which key the next request gets. Keys are numbers, from 0 on; times are seconds of one clock that only grows."""

    def __init__(self, rates: Sequence[int | None], *, window_seconds: float = WINDOW_SECONDS) -> None:
        """`rates`: requests of each key in any one window; None: no limit of its own, the provider's word counts."""
        self._keys = [_Key(rate) for rate in rates]
        self._window = window_seconds * (1 + _MARGIN)
        self._slack = window_seconds * _SLACK
        self._tickets = 0

    def take(self, now: float) -> tuple[int, int] | None:
        """A key and a ticket for one request that is sent now; None where no key can be used.

        The key with the smallest part of its places taken; among equals, the one that was used least so far.
        """
        best: tuple[float, int, int] | None = None
        for number, key in enumerate(self._keys):
            key.forget(now)
            if key.is_free(now):
                share = key.used / key.rate if key.rate is not None else 0.0
                best = min(best or (share, key.total, number), (share, key.total, number))
        if best is None:
            return None
        key = self._keys[best[2]]
        self._tickets += 1
        key.total += 1
        if key.rate is not None:
            key.flying[self._tickets] = now + self._slack + self._window
        return best[2], self._tickets

    def sent(self, number: int, ticket: int, now: float) -> None:
        """Some of the request has left just now: it is on its way from here on, not from when its place was taken."""
        flying = self._keys[number].flying
        if flying.pop(ticket, None) is not None:
            flying[ticket] = now + self._slack + self._window

    def answered(self, number: int, ticket: int, now: float) -> None:
        """The provider's answer to the request has begun, or nothing will come of it any more."""
        key = self._keys[number]
        latest = key.flying.pop(ticket, None)
        if latest is not None:
            heapq.heappush(key.answered, min(latest, now + self._window))

    def never_sent(self, number: int, ticket: int) -> None:
        """No byte of the request has left: the provider cannot have counted it."""
        self._keys[number].flying.pop(ticket, None)

    def assume_used_up(self, now: float) -> None:
        """Nobody knows what was sent until now: every place is taken for a window."""
        for key in self._keys:
            if key.rate is not None:
                key.answered = [now + self._window] * key.rate

    def rest(self, number: int, until: float) -> None:
        """Leave the key alone until then; a rest is never made shorter."""
        key = self._keys[number]
        key.rests_until = max(key.rests_until, until)

    def is_resting(self, number: int, now: float) -> bool:
        """Whether the provider's word keeps the key from being used."""
        return self._keys[number].rests_until > now

    def next_free_at(self, now: float) -> float:
        """The first moment from `now` on at which some key can be used; an answer may bring it nearer."""
        for key in self._keys:
            key.forget(now)
        return min(key.free_at(now) for key in self._keys)

    def free_at(self, ahead: int, now: float) -> float:
        """When a request can be sent that `ahead` others come before; at the earliest, for they take places too."""
        limited = [key for key in self._keys if key.rate is not None]
        if len(limited) < len(self._keys):
            return self.next_free_at(now)
        moments = [moment for key in limited for moment in self._moments(key, ahead + 1, now)]
        return sorted(moments)[ahead]

    def _moments(self, key: _Key, count: int, now: float) -> list[float]:
        """The next moments at which a place of this key can be taken, if each is taken at once."""
        key.forget(now)
        assert key.rate is not None
        ends = sorted([*key.flying.values(), *key.answered])
        spare = key.rate - len(ends)
        ends = [now] * spare + ends if spare >= 0 else ends[-spare:]
        return [max(now, key.rests_until, ends[n % len(ends)] + n // len(ends) * self._window) for n in range(count)]

    def totals(self) -> list[int]:
        """How often each key was given out."""
        return [key.total for key in self._keys]
