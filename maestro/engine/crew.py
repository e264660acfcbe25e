"""The background work of a run: asyncio tasks with names. If one dies, the loop hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from maestro.engine.messages import Broken, Message

ATTEMPT = "attempt "
"""How the names of tasks begin that end their own processes and save their work: asked to stop, never cut off."""


class Crew:
    """All of it that is under way."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.create_task(work, name=name)
        self.watch(task)
        return task

    def watch(self, task: asyncio.Task[None]) -> None:
        """Hear of a task's end that somebody else has started."""
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell(Broken(error))

    async def wait(self) -> None:
        """Until all of it is over; raises what one of them raised."""
        await asyncio.gather(*self._tasks)

    async def cut_off(self) -> None:
        """Cancel everything but attempts, and wait for all."""
        for task in self._tasks - {asyncio.current_task()}:
            if not task.get_name().startswith(ATTEMPT):
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
