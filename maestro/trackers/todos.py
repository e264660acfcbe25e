"""A list of todos given as JSON text, as Claude Code's TodoWrite has it (T-7): no file, no other tool.

`[{"content", "status", "activeForm", "id"?}]`, or that list under `todos`; the other fields of a task file count too.
A todo without an id gets one from its content, so the same list is the same backlog in the next run whatever its
statuses and order. Progress is kept beside the runs.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers import jsontext
from maestro.trackers.base import Note
from maestro.trackers.fields import kind_of, task_from
from maestro.trackers.progressfile import ProgressFile, merged
from maestro.trackers.source import BOM, writing

NAME = "the list of todos"


class Todos:
    """A list of todos."""

    kind = "todos"

    def __init__(self, repository: Path, text: str) -> None:
        self._tasks = tasks_in(text)
        ids = "\n".join(sorted(task.id for task in self._tasks))
        self.identity = f"{self.kind}:{hashlib.sha256(ids.encode()).hexdigest()[:16]}"
        self._progress = ProgressFile(repository, self.identity)

    def load(self) -> list[Task]:
        """The todos with the progress recorded so far."""
        return merged(self._tasks, self._progress.read())

    def claim(self, task: str, note: Note) -> None:
        """Record that work on the task begins."""
        self.write(task, Progress.IN_PROGRESS, note)

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Record progress beside the runs."""
        if all(known.id != task for known in self._tasks):
            raise TrackerError(f"{NAME} has no task {task!r}")
        with writing(NAME):
            self._progress.record(task, progress, note)

    def own_files(self) -> tuple[str, ...]:
        """The progress file."""
        return (str(self._progress.path.absolute()),)


def tasks_in(text: str) -> list[Task]:
    """The tasks of a list of todos; BadInput names the todo and the field."""
    text = text.removeprefix(BOM)
    if not text.strip():
        raise BadInput(f"{NAME} is empty", hint='give JSON such as [{"content": "what to do", "status": "pending"}]')
    document = jsontext.parse(text, NAME)
    found = document.get("todos") if isinstance(document, dict) else document
    if not isinstance(found, list):
        raise BadInput(f"{NAME} is {kind_of(document)}, not a list", hint='give a list, or {"todos": [...]}')
    return [_task(entry, f"{NAME}, entry {index + 1}") for index, entry in enumerate(found)]


def _task(entry: Any, where: str) -> Task:
    if not isinstance(entry, dict):
        return task_from(entry, where)  # refuses it
    fields = {key: value for key, value in entry.items() if key not in ("content", "activeForm") and value is not None}
    content = entry.get("content")
    if content is not None and not isinstance(content, str):
        raise BadInput(f"{where}: content must be text, not {kind_of(content)}")
    if content:
        fields.setdefault("title", content.strip())
        fields.setdefault("id", id_of(content))
    return task_from(fields, where)


def id_of(content: str) -> str:
    """An id from a todo's content: a few of its words, and a hash of all of them."""
    slug = re.sub(r"[^a-z0-9]+", "-", content.lower()).strip("-")[:32].strip("-") or "todo"
    return f"{slug}-{hashlib.sha256(content.strip().encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
