"""Holds starts back while the machine does not bear more, says so, and looks again by itself (E-4, W-6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from maestro.engine.context import RunContext
from maestro.engine.messages import Message, Nudge
from maestro.model.events import Throttled
from maestro.resources.throttle import Limits, Scarce, Shortage, shortage

AGAIN_SECONDS = 3.0
"""Between two looks while a task waits for the machine; none is taken while no task waits."""


class Throttling:
    """Asked before each start."""

    def __init__(self, context: RunContext, tell: Callable[[Message], None]) -> None:
        self._context = context
        self._tell = tell
        self._standing: Scarce | None = None
        self._said: Scarce | None = None
        self._timer: asyncio.TimerHandle | None = None

    def shortage(self, *, alone: bool) -> Shortage | None:
        """Why nothing may start now. `alone`: no attempt of this run is under way; then only a disk below its floor
        stands in the way, for one attempt can always run, and a load that is not ours might never end."""
        reading, limits = self._context.machine(), self._context.options.bearable
        if alone:
            return shortage(reading, Limits(min_free_disk=limits.min_free_disk))
        found = shortage(reading, limits, self._standing)
        self._standing = None if found is None else found.kind
        return found

    async def wait(self, short: Shortage) -> None:
        """A task waits for it: say so where it is news, and have the loop look again."""
        if self._said is not short.kind or self._context.recorder.run.throttled is None:
            self._said = short.kind
            await self._record(short.reason)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._look_again)

    async def over(self) -> None:
        """No task waits for the machine any more; said where the contrary was, also by an earlier coordinator."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._context.recorder.run.throttled is not None:
            self._said = None
            await self._record(None)

    def _look_again(self) -> None:
        self._timer = None
        self._tell(Nudge())

    async def _record(self, reason: str | None) -> None:
        await self._context.recorder.record(Throttled(at=self._context.clock.now(), reason=reason))
