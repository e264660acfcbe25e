"""Markdown task lists (T-4): spec-kit's `tasks.md` and plain check lists.

In spec-kit's lines `- [ ] T001 [P] [US1] text in path/file.py` the marks mean: [P] may run together with the [P] lines
next to it below the same heading, which form one group; [US1] is a label; `(depends on T001, T002)` are dependencies,
while words that are no ids stay text; paths behind "in" are the task's files. Unmarked lines run one at a time, in
order: under `stages` of themselves, and where a file with phases has neither [P] nor dependencies at all, each line
depends on the one before it. Plain check lists are independent items.

The boxes are the truth about what is done; landing ticks one and touches nothing else. Everything a box cannot say (in
progress, blocked, why, on which branch) is kept beside the runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from maestro.errors import BadInput, TrackerError
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note
from maestro.trackers.checklist import Item, items_of, ticked
from maestro.trackers.progressfile import ProgressFile, Recorded
from maestro.trackers.source import BOM, change_text, read_text, shown, writing

_MARK = re.compile(r"\[(P|US\d+)\]\s*")
_GROUP_MARKER = re.compile(r"\[P:[^\]]*\]")
_DEPENDS = re.compile(r"\s*\(\s*depends\s+on\b:?\s*([^()]+)\)", re.IGNORECASE)
_ID = re.compile(r"T\d+|[A-Z][A-Z0-9]*-\d+|\d+(?:\.\d+)*")
_PHASE = re.compile(r"phase\s+(\d+(?:\.\d+)*)", re.IGNORECASE)
_IN = re.compile(r"\bin\s+(?=\S)")
_PATH = re.compile(r"(?:[\w.@+-]+/)*[\w@+-][\w.@+-]*\.[A-Za-z]\w*")


class Markdown:
    """A Markdown file with check boxes."""

    kind = "markdown"

    def __init__(self, repository: Path, source: Path) -> None:
        self.source = source
        self.name = shown(source, repository)
        self.identity = f"{self.kind}:{self.name}"
        self._progress = ProgressFile(repository, self.identity)

    def load(self) -> list[Task]:
        """The items in file order; BadInput where the file has no check box."""
        items = self._items(read_text(self.source, self.name))
        recorded = self._progress.read()
        return [_with(task, recorded.get(task.id)) for task in tasks_of(items)]

    def claim(self, task: str, note: Note) -> None:
        """Record beside the runs that work begins."""
        self.write(task, Progress.IN_PROGRESS, note)

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Tick the box with DONE, clear it with anything else; the note is kept beside the runs."""
        with writing(self.name):
            # the box goes last: a crash in between leaves a done task open, never an open one done
            self._progress.record(task, progress, self._checked(task, note))
            change_text(self.source, self.name, self._progress.lock, lambda text: self._changed(text, task, progress))

    def own_files(self) -> tuple[str, ...]:
        """The Markdown file and the progress file."""
        written = (self.source, self.source.resolve(), self._progress.path)
        return tuple(dict.fromkeys(str(path.absolute()) for path in written))

    def _items(self, text: str) -> list[Item]:
        items = items_of(text.removeprefix(BOM))
        if not items:
            raise BadInput(f"{self.name} has no check boxes", hint="write tasks as lines such as `- [ ] what to do`")
        return items

    def _one(self, text: str, task: str) -> Item:
        found = [item for item in self._items(text) if item.id == task]
        if len(found) != 1:
            raise TrackerError(f"{self.name} has {len(found) or 'no'} task{'s' if found else ''} {task!r}")
        return found[0]

    def _checked(self, task: str, note: Note) -> Note:
        self._one(read_text(self.source, self.name), task)
        return note

    def _changed(self, text: str, task: str, progress: Progress) -> str:
        item = self._one(text, task)
        done = progress is Progress.DONE
        return text if item.ticked is done else ticked(text, item, done=done)


def _with(task: Task, recorded: Recorded | None) -> Task:
    """The box says whether it is done; what is recorded says the rest."""
    if recorded is None or Progress.DONE in (task.progress, recorded.progress):
        return task
    return task.model_copy(update={"progress": recorded.progress})


def tasks_of(items: list[Item]) -> list[Task]:
    """The tasks of a list's items, with groups and order as spec-kit means them."""
    ids = {item.id for item in items}
    read = [_read(item, ids) for item in items]
    groups = _groups(items, [parallel for parallel, _ in read])
    tasks = [
        task if group is None else task.model_copy(update={"group": group})
        for (_, task), group in zip(read, groups, strict=True)
    ]
    if _is_strictly_ordered(items, [parallel for parallel, _ in read], tasks):
        before = (None, *tasks)
        return [
            task.model_copy(update={"dependencies": (last.id,)}) if last else task
            for last, task in zip(before, tasks, strict=False)
        ]
    return tasks


def _read(item: Item, ids: set[str]) -> tuple[bool, Task]:
    """Whether the item carries [P], and its task."""
    text, marks = item.text, []
    while mark := _MARK.match(text):
        marks.append(mark[1])
        text = text[mark.end() :]
    title, needed = _dependencies(text, ids)
    context: dict[str, Any] = {"headings": list(item.headings)} if item.headings else {}
    task = Task(
        id=item.id,
        title=title,
        description=item.description,
        dependencies=tuple(dict.fromkeys(needed)),
        progress=Progress.DONE if item.ticked else Progress.OPEN,
        labels=tuple(mark for mark in marks if mark != "P"),
        files=_files(title),
        context=context,
    )
    return "P" in marks and not _GROUP_MARKER.search(title), task


def _dependencies(text: str, ids: set[str]) -> tuple[str, list[str]]:
    """The text without its `(depends on …)`, and the ids named there."""
    needed: list[str] = []

    def take(found: re.Match[str]) -> str:
        words = [word for word in re.split(r"[\s,&]+|\band\b", found[1]) if word]
        if not all(word in ids or _ID.fullmatch(word) for word in words):
            return found[0]
        needed.extend(words)
        return ""

    return _DEPENDS.sub(take, text).strip(), needed


def _files(title: str) -> tuple[str, ...]:
    """Paths named behind the first "in"; a word counts where it has an ending such as `.py`."""
    place = _IN.search(title)
    if place is None:
        return ()
    return tuple(dict.fromkeys(found for found in _PATH.findall(title[place.end() :])))


def _groups(items: list[Item], parallel: list[bool]) -> list[str | None]:
    """A group for each run of neighbouring [P] items below one heading: `phase-3-1`, `phase-3-2` …"""
    names: list[str | None] = []
    counts: dict[str, int] = {}
    last: Item | None = None
    for item, is_parallel in zip(items, parallel, strict=True):
        if not is_parallel:
            names.append(None)
            last = None
            continue
        if last is None or last.section != item.section:
            phase = _phase(item)
            counts[phase] = counts.get(phase, 0) + 1
            names.append(f"{phase}-{counts[phase]}")
        else:
            names.append(names[-1])
        last = item
    return names


def _phase(item: Item) -> str:
    for heading in reversed(item.headings):
        if found := _PHASE.search(heading):
            return f"phase-{found[1]}"
    return f"section-{item.section}"


def _is_strictly_ordered(items: list[Item], parallel: list[bool], tasks: list[Task]) -> bool:
    """A file with phases whose author marked nothing as parallel and named no dependency."""
    has_phases = any(_PHASE.search(heading) for item in items for heading in item.headings)
    is_marked = any(parallel) or any(task.dependencies or _GROUP_MARKER.search(task.title) for task in tasks)
    return has_phases and not is_marked
