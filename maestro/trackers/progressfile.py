"""Progress of backlogs that are not written back, kept beside the runs (T-3).

One file per backlog: {"format": 1, "source": "<identity>", "tasks": {"<id>": {"progress", "at", "run_id", …}}}.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from maestro.clock import SystemClock, as_z
from maestro.errors import BadInput, TrackerError
from maestro.model.ids import hashed_name
from maestro.model.record import Record
from maestro.model.task import Progress, Task
from maestro.store.atomic import write_atomically
from maestro.store.filelocks import locked
from maestro.store.layout import Layout
from maestro.trackers.base import Note
from maestro.trackers.source import LOCK_SECONDS, read_text


class Recorded(Note):
    """What is known of one task: the last note and the progress it came with."""

    progress: Progress
    at: str  # aware UTC, ISO 8601 with Z


class _Content(Record):
    format: int
    source: str
    tasks: dict[str, Recorded]


class ProgressFile:
    """The progress of one backlog. Reading a damaged file raises TrackerError; it is never taken for an empty one."""

    def __init__(self, repository: Path, identity: str) -> None:
        layout = Layout(repository)
        name = hashed_name(identity)
        self.identity = identity
        self.path = layout.progress / f"{name}.json"
        self.lock = layout.locks / f"tracker-{name}.lock"

    def read(self) -> dict[str, Recorded]:
        """What is recorded, by task id."""
        if not self.path.exists():
            return {}
        try:
            content = _Content.model_validate_json(read_text(self.path, str(self.path)))
        except (BadInput, ValidationError) as error:
            raise TrackerError(
                f"the progress file {self.path} cannot be read",
                hint="move it away to forget the progress it holds; the journals of the runs stay",
            ) from error
        return content.tasks

    def record(self, task: str, progress: Progress, note: Note) -> None:
        """Remember the progress of one task, confirmed by reading back."""
        new = Recorded(progress=progress, at=as_z(SystemClock().now()), **dict(note))
        with locked(self.lock, LOCK_SECONDS):
            self._replace({**self.read(), task: new})
            if self.read().get(task) != new:
                raise TrackerError(f"{self.path} does not hold what was just written")

    def forget(self, task: str) -> None:
        """Drop what is recorded of one task."""
        if not self.path.exists():
            return
        with locked(self.lock, LOCK_SECONDS):
            known = self.read()
            if known.pop(task, None) is not None:
                self._replace(known)

    def _replace(self, tasks: dict[str, Recorded]) -> None:
        # pydantic's writer: json's takes several times as long where it indents, and this is done twice for each task
        content = _Content(format=1, source=self.identity, tasks=tasks)
        write_atomically(self.path, content.model_dump_json(indent=1, exclude_defaults=True).encode() + b"\n")


def merged(tasks: Iterable[Task], recorded: dict[str, Recorded]) -> list[Task]:
    """The tasks with the recorded progress; what the backlog itself calls done stays done."""
    return [
        task.model_copy(update={"progress": recorded[task.id].progress})
        if task.id in recorded and task.progress is not Progress.DONE
        else task
        for task in tasks
    ]
