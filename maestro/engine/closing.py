"""Writes progress to the tracker, one write at a time, off the critical path: landing never waits for it.

This one is for trackers that are files of this repository: a claim costs a millisecond and nobody else takes a task.
`engine/sharing.py` is for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from maestro.clock import Clock
from maestro.engine.recorder import Recorder
from maestro.errors import MaestroError
from maestro.model.events import TrackerWriting, TrackerWritten, Warned
from maestro.model.report import Discovery
from maestro.model.task import Progress
from maestro.trackers.base import Note, Tracker


class Closing:
    """A queue of tracker writes with one worker."""

    is_shared = False  # whether tasks can be claimed ahead, and taken by somebody else while they run

    def __init__(self, tracker: Tracker, recorder: Recorder, clock: Clock) -> None:
        self._tracker = tracker
        self._recorder = recorder
        self._clock = clock
        self._queue: asyncio.Queue[tuple[str, Progress, Note] | Warned | None] = asyncio.Queue()
        self._lock = asyncio.Lock()  # claims and writes take turns

    async def claim(self, task: str, note: Note) -> str | None:
        """Claim a task before work on it starts; why it cannot be had, or None."""
        async with self._lock:
            try:
                await asyncio.to_thread(self._tracker.claim, task, note)
            except (MaestroError, OSError) as error:
                return str(error)
        return None

    def claim_ahead(self, tasks: Sequence[str], note: Note, limit: int) -> None:
        """Claim in the background what will start next, so that at most `limit` tasks are held unstarted."""

    def give_back(self, task: str, note: Note) -> None:
        """The task will not start: open it again, where it was claimed ahead."""

    def give_all_back(self, note: Note) -> None:
        """Nothing will start any more."""

    async def taken(self, task: str) -> str | None:
        """Who has closed or taken a task of ours meanwhile, as a clause; None while it is ours."""
        del task
        return None

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Queue a write."""
        self._queue.put_nowait((task, progress, note))

    def discover(self, task: str, found: Sequence[Discovery], note: Note) -> None:
        """Keep what the agent of a landed task discovered: as tasks where the tracker can, else in words."""
        del note
        why = f"a {self._tracker.kind} backlog gets no tasks from maestro"
        self._queue.put_nowait(Warned(at=self._clock.now(), task=task, message=not_added(task, found, why)))

    async def run(self) -> None:
        """Write until `finish`."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Warned):
                await self._recorder.record(item)
                continue
            await self.write_now(*item)

    async def write_now(self, task: str, progress: Progress, note: Note) -> None:
        """Write, and come back when the tracker has taken it, or has refused it and that is said."""
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


def not_added(task: str, found: Sequence[Discovery], why: str) -> str:
    """What is said of discovered work that became no task: all of it, so that nothing is lost."""
    titles = "; ".join(f"{one.title} ({one.description})" if one.description else one.title for one in found)
    return f"the agent of {task} discovered work, but {why}: {titles}"
