"""Progress of backlogs that are not written back, kept beside the runs (T-3).

One file per backlog: {"format": 1, "source": "<identity>", "tasks": {"<id>": {"progress", "at", "run_id", …}}},
with one line for each task.

Other processes write it too, so it is read anew every time. But bytes that were read or written before are not
parsed, nor made, once more: what a change costs must not be what it costs to understand the progress of all tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json

from maestro.clock import SystemClock, as_z
from maestro.errors import BadInput, TrackerError
from maestro.model.ids import hashed_name
from maestro.model.record import Record
from maestro.model.task import Progress, Task
from maestro.store.atomic import write_atomically
from maestro.store.filelocks import locked
from maestro.store.layout import Layout
from maestro.trackers.base import Note
from maestro.trackers.source import LOCK_SECONDS, read_whole


class Recorded(Note):
    """What is known of one task: the last note and the progress it came with."""

    progress: Progress
    at: str  # aware UTC, ISO 8601 with Z


class _Content(Record):
    format: int
    source: str
    tasks: dict[str, Recorded]


class _Held:
    """What the file says while it holds these very bytes."""

    def __init__(self, data: bytes, tasks: Mapping[str, Recorded], lines: Mapping[str, bytes] | None = None) -> None:
        self.data = data
        self.tasks = tasks
        self._lines = lines

    @property
    def lines(self) -> Mapping[str, bytes]:
        """Each task as it is written; made only where something is going to be."""
        if self._lines is None:
            self._lines = {task: _line(task, one) for task, one in self.tasks.items()}
        return self._lines


def _line(task: str, recorded: Recorded) -> bytes:
    return to_json(task) + b": " + recorded.model_dump_json(exclude_defaults=True).encode()


class ProgressFile:
    """The progress of one backlog. Reading a damaged file raises TrackerError; it is never taken for an empty one."""

    def __init__(self, repository: Path, identity: str) -> None:
        layout = Layout(repository)
        name = hashed_name(identity)
        self.identity = identity
        self.path = layout.progress / f"{name}.json"
        self.lock = layout.locks / f"tracker-{name}.lock"
        self._last: _Held | None = None  # what was last read or written

    def read(self) -> Mapping[str, Recorded]:
        """What is recorded, by task id."""
        return self._held().tasks

    def record(self, task: str, progress: Progress, note: Note) -> None:
        """Remember the progress of one task, confirmed by reading back."""
        new = Recorded(progress=progress, at=as_z(SystemClock().now()), **dict(note))
        with locked(self.lock, LOCK_SECONDS):
            held = self._held()
            self._replace({**held.tasks, task: new}, {**held.lines, task: _line(task, new)})
            if self.read().get(task) != new:
                raise TrackerError(f"{self.path} does not hold what was just written")

    def forget(self, task: str) -> None:
        """Drop what is recorded of one task."""
        if not self.path.exists():
            return
        with locked(self.lock, LOCK_SECONDS):
            held = self._held()
            tasks, lines = dict(held.tasks), dict(held.lines)
            if tasks.pop(task, None) is not None:
                del lines[task]
                self._replace(tasks, lines)

    def _held(self) -> _Held:
        if not self.path.exists():
            return _Held(b"", {})
        last = self._last
        try:
            data = read_whole(self.path, str(self.path))
            if last is None or last.data != data:
                last = self._last = _Held(data, _Content.model_validate_json(data).tasks)
        except (BadInput, ValidationError) as error:
            raise TrackerError(
                f"the progress file {self.path} cannot be read",
                hint="move it away to forget the progress it holds; the journals of the runs stay",
            ) from error
        return last

    def _replace(self, tasks: Mapping[str, Recorded], lines: Mapping[str, bytes]) -> None:
        head = b'{"format": 1, "source": ' + to_json(self.identity) + b', "tasks": {\n'
        held = _Held(head + b",\n".join(lines.values()) + b"\n}}\n", tasks, lines)
        write_atomically(self.path, held.data)
        self._last = held


def merged(tasks: Iterable[Task], recorded: Mapping[str, Recorded]) -> list[Task]:
    """The tasks with the recorded progress; what the backlog itself calls done stays done."""
    return [
        task.model_copy(update={"progress": recorded[task.id].progress})
        if task.id in recorded and task.progress is not Progress.DONE
        else task
        for task in tasks
    ]
