"""Writes progress to the tracker, one write at a time, off the critical path: landing never waits for it."""

from __future__ import annotations

import asyncio

from maestro.clock import Clock
from maestro.engine.recorder import Recorder
from maestro.errors import MaestroError
from maestro.model.events import TrackerWriting, TrackerWritten
from maestro.model.task import Progress
from maestro.trackers.base import Note, Tracker


class Closing:
    """A queue of tracker writes with one worker."""

    def __init__(self, tracker: Tracker, recorder: Recorder, clock: Clock) -> None:
        self._tracker = tracker
        self._recorder = recorder
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, Progress, Note] | None] = asyncio.Queue()
        self._lock = asyncio.Lock()  # claims and writes take turns

    async def claim(self, task: str, note: Note) -> str | None:
        """Claim a task before work on it starts; why it cannot be had, or None."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._tracker.claim, task, note)
            except (MaestroError, OSError) as error:
                return str(error)
        return None

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Queue a write."""
        self._queue.put_nowait((task, progress, note))

    async def run(self) -> None:
        """Write until `finish`."""
        while (item := await self._queue.get()) is not None:
            task, progress, note = item
            await self._recorder.record(TrackerWriting(at=self._clock.now(), task=task, progress=progress))
            error = None
            async with self._lock:
                try:
                    await asyncio.to_thread(self._tracker.write, task, progress, note)
                except (MaestroError, OSError) as failure:
                    error = str(failure)
            await self._recorder.record(TrackerWritten(at=self._clock.now(), task=task, progress=progress, error=error))

    def finish(self) -> None:
        """Let `run` end after what is queued."""
        self._queue.put_nowait(None)
