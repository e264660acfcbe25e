"""A tracker in memory: for tests, demos and rehearsals, with failures on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Literal

from maestro.errors import TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note

Method = Literal["load", "claim", "write"]


class MemoryTracker:
    """A backlog that lives as long as this object. Threads may share it."""

    kind = "memory"

    def __init__(self, tasks: Iterable[Task], *, identity: str = "memory") -> None:
        self.identity = identity
        self.writes: list[tuple[str, Progress, Note]] = []  # every claim and write that worked, in order
        self._tasks = list(tasks)
        self._failures: dict[Method, list[Exception]] = {"load": [], "claim": [], "write": []}
        self._lock = threading.Lock()

    def fail(self, method: Method, error: Exception | None = None, *, times: int = 1) -> None:
        """Let the next `times` calls of a method raise, before they change anything."""
        with self._lock:
            self._failures[method] += [error or TrackerError(f"{method} fails on demand")] * times

    def load(self) -> list[Task]:
        """All tasks with their present progress."""
        with self._lock:
            self._raise("load")
            return list(self._tasks)

    def claim(self, task: str, note: Note) -> None:
        """Set IN_PROGRESS."""
        self._set("claim", task, Progress.IN_PROGRESS, note)

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Set the progress and remember the note."""
        self._set("write", task, progress, note)

    def own_files(self) -> tuple[str, ...]:
        """None: nothing is on disk."""
        return ()

    def _set(self, method: Method, task: str, progress: Progress, note: Note) -> None:
        with self._lock:
            self._raise(method)
            places = [index for index, known in enumerate(self._tasks) if known.id == task]
            if len(places) != 1:
                raise TrackerError(f"the backlog in memory has {len(places) or 'no'} task {task!r}")
            self._tasks[places[0]] = self._tasks[places[0]].evolve(progress=progress)
            self.writes.append((task, progress, note))

    def _raise(self, method: Method) -> None:
        if self._failures[method]:
            raise self._failures[method].pop(0)
