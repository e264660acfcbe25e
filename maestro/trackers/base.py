"""What every tracker is: a backlog to load, and progress to write back."""

from __future__ import annotations

from typing import Protocol

from maestro.model.record import Record
from maestro.model.task import Progress, Task


class Note(Record):
    """What is written beside the new state: why, and where the work is."""

    run_id: str
    reason: str = ""
    commit: str | None = None
    branch: str | None = None
    saved_ref: str | None = None


class Tracker(Protocol):
    """A backlog. Methods block; the engine calls them from one thread, one at a time.

    A tracker never guesses: unreadable input raises TrackerError or BadInput, it is never "empty".
    `write` is safe to repeat, keeps every other byte of meaning, and is confirmed by reading back.
    """

    kind: str  # the word of --tracker
    identity: str  # kind and source, the same for every run over the same backlog

    def load(self) -> list[Task]:
        """All tasks in their given order, closed ones included. Duplicate ids are kept for planning to refuse."""
        ...

    def claim(self, task: str, note: Note) -> None:
        """Say that work on the task begins (in_progress)."""
        ...

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Record DONE after landing; OPEN, BLOCKED or CANCELLED with a note otherwise."""
        ...

    def own_files(self) -> tuple[str, ...]:
        """Absolute paths that the tracker itself writes, for the guard over the user's checkout."""
        ...
