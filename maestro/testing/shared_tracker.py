"""A tracker in memory that is slow and that people work on too: what beads is, for tests and rehearsals without it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

from maestro.errors import MaestroError
from maestro.model.report import Discovery
from maestro.model.task import Task
from maestro.testing.memory_tracker import MemoryTracker
from maestro.trackers.base import Note, Writing

Call = Literal["claim", "write", "taken", "discover"]


class SharedTracker(MemoryTracker):
    """A BulkTracker. `delay` is called in each call's thread before the call does anything, and may take its time or
    raise."""

    kind = "shared"

    def __init__(
        self,
        tasks: Iterable[Task],
        *,
        identity: str = "shared",
        delay: Callable[[Call, tuple[str, ...]], object] = lambda *_: None,
    ) -> None:
        super().__init__(tasks, identity=identity)
        self.calls: list[tuple[Call, tuple[str, ...]]] = []  # each call as it began, with its tasks
        self.overlapped = False  # whether two calls were ever under way at once
        self.delay = delay
        self._theirs: dict[str, str] = {}
        self._under_way = threading.Lock()

    def take(self, task: str, clause: str = "a person has taken it") -> None:
        """A person takes or closes the task, now."""
        self._theirs[task] = clause

    def claim_many(self, claims: Mapping[str, Note]) -> Mapping[str, str]:
        """Refused are those that a person has, and those whose `claim` fails."""
        with self._call("claim", claims):
            return self._refused({task: partial(self.claim, task, note) for task, note in claims.items()})

    def write_many(self, writes: Sequence[Writing]) -> Mapping[str, str]:
        """Refused are those that a person has, and those whose `write` fails."""
        with self._call("write", [one.task for one in writes]):
            return self._refused({one.task: partial(self.write, one.task, one.progress, one.note) for one in writes})

    def taken(self, tasks: Collection[str]) -> Mapping[str, str]:
        """Those that a person has."""
        with self._call("taken", tasks):
            return {task: self._theirs[task] for task in tasks if task in self._theirs}

    def discover(self, task: str, found: Sequence[Discovery], note: Note) -> tuple[str, ...]:
        """Tasks at the end of the backlog, named after the one they come from."""
        del note
        with self._call("discover", [task]):
            made = tuple(f"{task}-found-{number}" for number in range(1, len(found) + 1))
            known = {one.id for one in self._tasks}
            self._tasks += [
                Task(id=name, title=one.title, description=one.description)
                for name, one in zip(made, found, strict=True)
                if name not in known
            ]
            return made

    @contextlib.contextmanager
    def _call(self, call: Call, tasks: Iterable[str]) -> Iterator[None]:
        names = tuple(tasks)
        self.calls.append((call, names))
        if not self._under_way.acquire(blocking=False):
            self.overlapped = True
            self._under_way.acquire()
        try:
            self.delay(call, names)
            yield
        finally:
            self._under_way.release()

    def _refused(self, acts: Mapping[str, Callable[[], None]]) -> dict[str, str]:
        refused = {}
        for task, act in acts.items():
            try:
                if task in self._theirs:
                    refused[task] = self._theirs[task]
                else:
                    act()
            except MaestroError as error:
                refused[task] = error.message
        return refused
