"""What every tracker is: a backlog to load, and progress to write back."""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from maestro.model.record import Record
from maestro.model.report import Discovery
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


@runtime_checkable
class Selecting(Protocol):
    """A tracker that holds more than one backlog: `--epic` and `--label` say which part is meant."""

    def selected(self, epic: str | None, labels: Sequence[str]) -> frozenset[str]:
        """Ids of the tasks, of those `load` gives, that are below the epic and have all the labels; done ones too.

        BadInput where there is no such epic.
        """
        ...


@runtime_checkable
class ReadOnlyForAgents(Protocol):
    """A tracker that agents can reach by themselves, as people do: it is the coordinator that writes (T-1)."""

    def agent_env(self) -> Mapping[str, str]:
        """Variables with which an agent may read the tracker and not change it."""
        ...


class Writing(Record):
    """One of several writes made at once."""

    task: str
    progress: Progress
    note: Note


@runtime_checkable
class BulkTracker(Tracker, Protocol):
    """A tracker whose calls are slow and whose tasks people work on too.

    It takes several claims or writes at once, notices when somebody else has taken a task, and can add tasks.
    """

    def claim_many(self, claims: Mapping[str, Note]) -> Mapping[str, str]:
        """Claim tasks; those refused, each with a clause that says why. All others are ours: it was read back."""
        ...

    def write_many(self, writes: Sequence[Writing]) -> Mapping[str, str]:
        """Write several tasks; those that could not be written, each with a clause. What was written was read back.

        A task that a person has closed or taken meanwhile is left to them, and is among the refused.
        """
        ...

    def taken(self, tasks: Collection[str]) -> Mapping[str, str]:
        """Of tasks that this run has claimed, those that somebody has closed or taken since, each with a clause.

        Costs next to nothing where nothing has changed in the tracker.
        """
        ...

    def discover(self, task: str, found: Sequence[Discovery], note: Note) -> tuple[str, ...]:
        """Create what the agent of `task` discovered, linked to it; ids, in order. Safe to repeat."""
        ...
