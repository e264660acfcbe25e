"""Task files in JSON, JSON lines and YAML (T-3): the default, which needs nothing else.

The file is a list of tasks, or an object with `tasks`, or one task per line; the fields are those of
`maestro.trackers.fields`. Progress is kept beside the runs and laid over the file's own statuses. With `write_back`
it goes into the file: one word of one entry changes, every other byte stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maestro.errors import TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note
from maestro.trackers.entries import Entry, entries_of, format_of, parse, set_status
from maestro.trackers.fields import id_from, task_from
from maestro.trackers.progressfile import ProgressFile, merged
from maestro.trackers.source import change_text, read_text, shown, writing
from maestro.trackers.status import meaning, word_for


class TaskFile:
    """A task file of the user's."""

    kind = "taskfile"

    def __init__(self, repository: Path, source: Path, *, write_back: bool = False) -> None:
        self.source = source
        self.name = shown(source, repository)
        self.identity = f"{self.kind}:{self.name}"
        self._form = format_of(source, self.name)
        self._write_back = write_back
        self._progress = ProgressFile(repository, self.identity)
        self._known: frozenset[str] | None = None

    def load(self) -> list[Task]:
        """All tasks with their progress; BadInput names the file, the entry and the field."""
        tasks = [self.task_of(entry) for entry in self.entries(read_text(self.source, self.name))]
        self._known = frozenset(task.id for task in tasks)
        return merged(tasks, self._progress.read())

    def entries(self, text: str) -> list[Entry]:
        """The entries of the file's text."""
        return self.entries_in(parse(text, self._form, self.name))

    def entries_in(self, document: Any) -> list[Entry]:
        """The entries of the parsed file."""
        return entries_of(document, self._form, self.name)

    def task_of(self, entry: Entry) -> Task:
        """The task of one entry."""
        return task_from(entry.value, entry.where)

    def claim(self, task: str, note: Note) -> None:
        """Record that work on the task begins."""
        self.write(task, Progress.IN_PROGRESS, note)

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Record progress beside the runs, or in the file with `write_back`; TrackerError for an unknown task."""
        with writing(self.name):
            if not self._write_back:
                self._check_known(task)
                self._progress.record(task, progress, note)
                return
            change_text(self.source, self.name, self._progress.lock, lambda text: self._changed(text, task, progress))
            self._progress.forget(task)  # what an earlier run kept beside the file would hide the file's own word

    def own_files(self) -> tuple[str, ...]:
        """The progress file, and the task file itself with `write_back`."""
        written = (self.source, self.source.resolve()) if self._write_back else ()
        return tuple(dict.fromkeys(str(path.absolute()) for path in (*written, self._progress.path)))

    def _check_known(self, task: str) -> None:
        if self._known is None:
            self.load()
        if self._known is None or task not in self._known:
            raise TrackerError(f"{self.name} has no task {task!r}")

    def _changed(self, text: str, task: str, progress: Progress) -> str:
        entries = self.entries(text)
        places = [entry.place for entry in entries if _id_in(entry) == task]
        if len(places) != 1:
            many = "no task" if not places else f"{len(places)} tasks"
            raise TrackerError(f"{self.name} has {many} {task!r}")
        words = [_status_in(entry) for entry in entries]
        mine = next(word for entry, word in zip(entries, words, strict=True) if entry.place == places[0])
        if meaning(mine or "") is progress:
            return text
        word = word_for(progress, (word for word in words if word))
        return set_status(text, self._form, self.name, places[0], word)


def _id_in(entry: Entry) -> str | None:
    value = entry.value.get("id") if isinstance(entry.value, dict) else None
    return None if value is None else id_from(value, entry.where)


def _status_in(entry: Entry) -> str | None:
    value = entry.value.get("status") if isinstance(entry.value, dict) else None
    return value if isinstance(value, str) else None
