"""The turn of a gate: tests before landing hold the resource `tests`, as agents do that run them (I-7)."""

from __future__ import annotations

import asyncio

from maestro.engine.context import RunContext
from maestro.engine.turns import take_turn
from maestro.model.gate import TESTS
from maestro.proc.request import MARKER
from maestro.resources.base import Lock
from maestro.resources.locks.base import Family, Who

LATE_SECONDS = 60.0
"""A gate ends itself at its limit. Where its coordinator does nothing any more, others end it so much later."""

WHAT = "the tests before landing"


class GateTurn:
    """Waits for the resource, and can be told to wait no longer."""

    def __init__(self, context: RunContext, timeout_seconds: float) -> None:
        self._context = context
        self._limit_seconds = timeout_seconds + LATE_SECONDS
        self._taking: asyncio.Task[Lock] | None = None

    async def take(self, marker: str) -> Lock | None:
        """The resource for the processes with this marker; None where there is none, or it was stopped. MaestroError
        where it cannot be had."""
        locks = self._context.locks
        if locks is None:
            return None
        who = Who(run=self._context.run_id, what=WHAT, family=Family(MARKER, marker))
        turn = take_turn(self._context, locks, TESTS, who, limit_seconds=self._limit_seconds, is_news=False)
        self._taking = taking = asyncio.ensure_future(turn)
        try:
            await asyncio.wait([taking])
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            self._taking = None
        return None if taking.cancelled() else taking.result()

    async def stop(self) -> None:
        """Wait no longer."""
        if (taking := self._taking) is None:
            return
        taking.cancel()
        await asyncio.wait([taking])
        if not taking.cancelled() and taking.exception() is None:
            taking.result().release()
