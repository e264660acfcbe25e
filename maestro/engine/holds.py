"""Accounts on hold: when a provider says "not now", all attempts on that account wait (A-5).

A rest ends in steps, or all that waited would meet the limit again at once: one attempt goes first; when the provider
has answered it, the next ones follow with a pause between two of them; after a few of those all is as ever. One that
meets the limit again renews the rest for all. While a client still tries a refused request again by itself, nothing
is held for good, and nothing new starts beside it either.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from maestro.agents.base import Heard
from maestro.clock import Clock
from maestro.model.events import AccountHeld, AccountReleased, Event
from maestro.model.outcome import AgentBlocked, Failed, FailureKind, Outcome, Succeeded
from maestro.model.retry import HOLD_BASE_SECONDS, hold_until, named_end, pause_between, probe_at

PACED_STARTS = 8
"""Starts with a pause between them after the one that went first."""

PROVEN_SECONDS = 120.0
"""One that has met no limit for so long has got through, whether it says so or not: some clients retry in silence."""

LONGEST_WAKE_SECONDS = 60.0
"""A timer does not run while the machine sleeps, and rests end by the clock on the wall: so it is looked at now and
then."""

_NO_ANSWER = frozenset({FailureKind.SETUP, FailureKind.WORKSPACE, FailureKind.SPAWN, FailureKind.SESSION})
"""Failures of attempts that asked no provider."""


@dataclass
class _Rest:
    """One account that rests, or has rested lately."""

    until: datetime
    opens_at: datetime  # nothing starts before
    times: int  # rests in a row
    released: bool = False  # one has got through
    left: int = PACED_STARTS
    probe: str | None = None  # the task that goes first
    spawned_at: datetime | None = None
    started: set[str] = field(default_factory=set)  # tasks that were started since


class Holds:
    """How each account stands."""

    def __init__(
        self,
        record: Callable[[Event], Awaitable[None]],
        clock: Clock,
        wake_in: Callable[[float], None],
        *,
        base_seconds: float = HOLD_BASE_SECONDS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`wake_in`: let the loop look again after so many seconds. `chance`: random numbers from 0 to 1."""
        self._record = record
        self._clock = clock
        self._wake_in = wake_in
        self._base_seconds = base_seconds
        self._chance = chance
        self._rests: dict[str, _Rest] = {}
        self._writing = asyncio.Lock()  # what is written down counts in the order in which it stands there
        self._wakes_at: datetime | None = None  # when the loop was asked to look again
        self._trying: dict[str, set[str]] = {}  # account → tasks whose client tries a refused request again

    def restore(self, events: Iterable[Event]) -> None:
        """Take up the rests of an earlier coordinator of this run, before the loop begins."""
        for event in events:
            match event:
                case AccountHeld():
                    opens = probe_at(event.at, event.until, self._chance())
                    self._rests[event.account] = _Rest(event.until, opens, event.times)
                case AccountReleased():
                    self._rests.pop(event.account, None)

    async def hold(
        self, account: str, task: str, reset_at: datetime | None, reason: str, *, waiting: int = 0
    ) -> datetime:
        """An attempt at the task met a limit; until when the account rests now.

        Many that run at once meet the same limit: only a longer rest, or a limit met after the rest, is news.
        """
        self._quiet(account, task)
        async with self._writing:
            return await self._hold(account, task, reset_at, reason, waiting)

    async def _hold(self, account: str, task: str, reset_at: datetime | None, reason: str, waiting: int) -> datetime:
        now, rest = self._clock.now(), self._rests.get(account)
        named = named_end(reset_at, now)
        if rest is not None and now < rest.until and (named is None or named <= rest.until):
            return rest.until
        times = 1
        if rest is not None and not rest.released:
            times = rest.times + (task in rest.started)
        until = hold_until(named, times, now, self._chance(), self._base_seconds)
        await self._record(
            AccountHeld(at=now, account=account, until=until, reason=reason, times=times, waiting=waiting)
        )
        self._rests[account] = _Rest(until, probe_at(now, until, self._chance()), times)
        self._wake()
        return until

    def may_start(self, account: str) -> bool:
        """Whether an attempt on the account may start now."""
        if self._trying.get(account):
            return False
        rest = self._rests.get(account)
        return rest is None or (rest.probe is None and self._clock.now() >= rest.opens_at)

    def started(self, account: str, task: str) -> None:
        """An attempt is about to start."""
        if (rest := self._rests.get(account)) is None:
            return
        rest.started.add(task)
        if not rest.released:
            rest.probe = task
        elif rest.left <= 1:
            del self._rests[account]
        else:
            rest.left -= 1
            rest.opens_at = self._clock.now() + pause_between(self._chance())
            self._wake()

    def spawned(self, account: str, task: str) -> None:
        """Its agent is under way."""
        rest = self._rests.get(account)
        if rest is not None and rest.probe == task:
            rest.spawned_at = self._clock.now()
            self._wake_in(PROVEN_SECONDS)

    async def heard(self, account: str, task: str, heard: Heard) -> None:
        """What the output of a running attempt tells of its requests."""
        if heard is Heard.LIMIT:
            self._trying.setdefault(account, set()).add(task)
        else:
            self._quiet(account, task)
        rest = self._rests.get(account)
        if heard is Heard.ANSWER and rest is not None and rest.probe == task:
            await self._release(account, rest)

    async def ended(self, account: str, task: str, outcome: Outcome | None) -> None:
        """An attempt is over with another outcome than a limit; None: it never began."""
        self._quiet(account, task)
        rest = self._rests.get(account)
        if rest is None or rest.probe != task:
            return
        if outcome is not None and _was_answered(outcome):
            await self._release(account, rest)
        else:
            rest.probe = rest.spawned_at = None  # the next one goes first

    async def look(self) -> None:
        """Release what has got through without a word. Cheap: called before each round of starts."""
        late = self._clock.now() - timedelta(seconds=PROVEN_SECONDS)
        for account, rest in list(self._rests.items()):
            silent = rest.probe is not None and rest.probe not in self._trying.get(account, ())
            if silent and rest.spawned_at is not None and rest.spawned_at <= late:
                await self._release(account, rest)
        self._wake()

    def next_start_in(self) -> float | None:
        """Seconds until the first account that rests lets one start; None where none rests."""
        now = self._clock.now()
        waits = [(rest.opens_at - now).total_seconds() for rest in self._rests.values() if rest.opens_at > now]
        return min(waits, default=None)

    async def _release(self, account: str, rest: _Rest) -> None:
        """One has got through: the others follow."""
        async with self._writing:
            if self._rests.get(account) is not rest or rest.released:
                return  # it rests again meanwhile
            now = self._clock.now()
            await self._record(AccountReleased(at=now, account=account))
            rest.released, rest.probe, rest.spawned_at = True, None, None
            rest.opens_at = now + pause_between(self._chance())
        self._wake()

    def _quiet(self, account: str, task: str) -> None:
        self._trying.get(account, set()).discard(task)

    def _wake(self) -> None:
        """Have the loop look again when the next account lets one start."""
        if (wait := self.next_start_in()) is None:
            return
        now, wait = self._clock.now(), min(wait, LONGEST_WAKE_SECONDS)
        at = now + timedelta(seconds=wait)
        if self._wakes_at is None or not now < self._wakes_at <= at:
            self._wakes_at = at
            self._wake_in(wait)


def _was_answered(outcome: Outcome) -> bool:
    """Whether the end of an attempt shows that its provider let it work."""
    match outcome:
        case Succeeded() | AgentBlocked():
            return True
        case Failed():
            return outcome.failure not in _NO_ANSWER
        case _:
            return False
