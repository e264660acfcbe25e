"""Waiting for a workspace that is on its way back: one that was used costs a fraction of a new one.

Between the end of an agent and the landing of its work the workspace still stands, while the slot is free already. A
task that takes the slot would get a new workspace then, one more than ever are worked in at the same time. So it waits
for the one that comes, for a moment; not for a gate, which may take minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

MOST_SECONDS = 2.0
"""Landing and emptying take milliseconds; where they take longer than this, something else is the matter."""


class Returning:
    """Those who wait are served in the order in which they came.

    `most`: workspaces that may be worked in at once; `held`: how many of ended attempts still stand; `coming`: whether
    one of those comes back without anything having to happen first.
    """

    def __init__(self, most: int, held: Callable[[], int], coming: Callable[[], bool]) -> None:
        self._most = most
        self._held = held
        self._coming = coming
        self._waiting = 0
        self._changed = asyncio.Condition()

    async def room(self, under_way: Callable[[], int]) -> None:
        """Until a workspace can be had without more standing than are worked in at once, or none is on its way.

        `under_way`: attempts that have a workspace or want one, this one among them.
        """
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(MOST_SECONDS), self._changed:
                    await self._changed.wait_for(lambda: not self._coming() or self._in_use(under_way) < self._most)
        finally:
            self._waiting -= 1

    async def changed(self) -> None:
        """One came back, or will not."""
        async with self._changed:
            self._changed.notify_all()

    def _in_use(self, under_way: Callable[[], int]) -> int:
        return under_way() - self._waiting + self._held()
