"""TaskMaster's `tasks.json` in its three shapes (T-2): tagged, untagged, and a bare list.

What becomes a task:
- An entry without subtasks is a task.
- An entry with subtasks is worked on through them: subtask S of entry P is the task `P.S`. It inherits P's
  dependencies, priority, labels and agent, and P's text as context; P's own done, cancelled, deferred or blocked
  holds for its open subtasks. P itself goes to no agent: it is set `done` together with the last of its subtasks,
  and back to `pending` when one of them is reopened.
- An entry whose subtasks are all done or cancelled while it is open itself is a task like any other: only a closed
  entry satisfies a dependency (P-4), and what is left to do is what its own text says.

Dependencies on an entry that is worked on through subtasks mean all of these but the cancelled ones. Within a subtask,
an id without a point is a sibling where there is one, else an entry; `P.S` is a subtask anywhere.

The tag is the one asked for, else the current one of TaskMaster's own `state.json`, else `master`, else the only one.
Statuses are written into the file, whose text is otherwise kept to the byte. Notes find no room there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maestro.errors import BadInput, TrackerError
from maestro.model.ids import hashed_name
from maestro.model.task import Progress, Task
from maestro.store.layout import Layout
from maestro.trackers import jsontext
from maestro.trackers.base import Note
from maestro.trackers.entries import set_status
from maestro.trackers.fields import kind_of, task_from
from maestro.trackers.jsontext import Place
from maestro.trackers.source import BOM, change_text, read_text, shown, writing
from maestro.trackers.status import WORDS

DEFAULT_SOURCE = Path(".taskmaster/tasks/tasks.json")
DEFAULT_TAG = "master"
_HELD_BY_PARENT = frozenset({Progress.DONE, Progress.CANCELLED, Progress.DEFERRED, Progress.BLOCKED})
_OVER = frozenset({Progress.DONE, Progress.CANCELLED})
_WORDS = {**WORDS, Progress.IN_PROGRESS: "in-progress"}


class Node:
    """An entry or subtask of the file: its task as written, its place, its subtasks."""

    def __init__(self, task: Task, place: Place, parent: Node | None = None) -> None:
        self.task = task
        self.place = place
        self.parent = parent
        self.children: list[Node] = []

    @property
    def progress(self) -> Progress:
        """Its own, or its parent's where that closes, defers or blocks it."""
        if self.parent and self.parent.progress in _HELD_BY_PARENT and self.task.progress not in _OVER:
            return self.parent.progress
        return self.task.progress

    @property
    def is_task(self) -> bool:
        """Whether it is itself a task: it has no subtasks, or is over, or all of them are."""
        return self.task.progress in _OVER or all(child.progress in _OVER for child in self.children)

    @property
    def stands_for(self) -> tuple[str, ...]:
        """The tasks that a dependency on this one means."""
        if self.is_task:
            return (self.task.id,)
        return tuple(child.task.id for child in self.children if child.progress is not Progress.CANCELLED)


class TaskMaster:
    """A TaskMaster project's tasks under one tag."""

    kind = "taskmaster"

    def __init__(self, repository: Path, source: Path | None = None, *, tag: str | None = None) -> None:
        self.source = source or repository / DEFAULT_SOURCE
        self.name = shown(self.source, repository)
        self._tag = tag
        # read once: a tag switched in TaskMaster while a run goes on must not turn its writes to other tasks
        self._current = None if tag else current_tag(self.source)
        chosen = tag or self._current
        self.identity = f"{self.kind}:{self.name}" + (f"#{chosen}" if chosen not in (None, DEFAULT_TAG) else "")
        self._lock = Layout(repository).locks / f"tracker-{hashed_name(f'{self.kind}:{self.name}')}.lock"

    def load(self) -> list[Task]:
        """The tasks of the tag in file order, subtasks where their entry stands."""
        nodes = self._nodes(read_text(self.source, self.name))
        entries = {node.task.id: node for node in nodes}
        return [_resolved(node, entries) for node in _walk(nodes) if node.is_task]

    def claim(self, task: str, note: Note) -> None:
        """Set `in-progress`."""
        self.write(task, Progress.IN_PROGRESS, note)

    def write(self, task: str, progress: Progress, note: Note) -> None:  # noqa: ARG002 - the format has no room for it
        """Set the status; the parent's too, when this was its last subtask or is open again."""
        with writing(self.name):
            change_text(self.source, self.name, self._lock, lambda text: self._changed(text, task, progress))

    def own_files(self) -> tuple[str, ...]:
        """The tasks file."""
        return tuple(dict.fromkeys(str(path) for path in (self.source.absolute(), self.source.resolve())))

    def _nodes(self, text: str) -> list[Node]:
        document = jsontext.parse(text.removeprefix(BOM), self.name)
        place, entries = select(document, self.name, self._tag, self._current)
        where = self.name + (f" (tag {place[0]})" if len(place) == 2 else "")
        return [_node(value, (*place, index), f"{where}, entry {index + 1}") for index, value in enumerate(entries)]

    def _changed(self, text: str, task: str, progress: Progress) -> str:
        nodes = self._nodes(text)
        found = [node for node in _walk(nodes) if node.task.id == task]
        if len(found) != 1:
            raise TrackerError(f"{self.name} has {len(found) or 'no'} task{'s' if found else ''} {task!r}")
        node, parent = found[0], found[0].parent
        if not node.is_task:
            raise TrackerError(f"{self.name}: {task!r} is done through its subtasks")
        if node.task.progress is not progress:
            text = set_status(text, "json", self.name, node.place, _WORDS[progress])
        if parent is None:
            return text
        others_over = all(child.progress in _OVER for child in parent.children if child is not node)
        if progress is Progress.DONE and others_over and parent.task.progress is not Progress.DONE:
            return set_status(text, "json", self.name, parent.place, _WORDS[Progress.DONE])
        if progress is not Progress.DONE and parent.task.progress is Progress.DONE:
            return set_status(text, "json", self.name, parent.place, _WORDS[Progress.OPEN])
        return text


def _resolved(node: Node, entries: dict[str, Node]) -> Task:
    """The node's task with its whole dependencies, its parent's behind its own."""
    needed: list[str] = []
    parent = node.parent
    siblings = {one.task.id: one for one in parent.children} if parent else {}
    for dependency in node.task.dependencies:
        sibling = siblings.get(f"{parent.task.id}.{dependency}") if parent else None
        target = sibling or entries.get(dependency)
        needed += target.stands_for if target else (dependency,)
    for dependency in parent.task.dependencies if parent else ():
        target = entries.get(dependency)
        needed += target.stands_for if target else (dependency,)
    return node.task.model_copy(update={"dependencies": tuple(dict.fromkeys(needed)), "progress": node.progress})


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield from node.children
        yield node


def _node(value: Any, place: Place, where: str) -> Node:
    if not isinstance(value, dict):
        return Node(task_from(value, where), place)  # refuses it
    subtasks = value.get("subtasks")
    if subtasks is not None and not isinstance(subtasks, list):
        raise BadInput(f"{where}: subtasks must be a list, not {kind_of(subtasks)}")
    node = Node(task_from({key: inner for key, inner in value.items() if key != "subtasks"}, where), place)
    for index, subtask in enumerate(subtasks or ()):
        child = task_from(subtask, f"{where}, subtask {index + 1}")
        if subtask.get("priority") is None:
            child = child.model_copy(update={"priority": node.task.priority})
        node.children.append(Node(_inherited(child, node.task), (*place, "subtasks", index), node))
    return node


def _inherited(child: Task, parent: Task) -> Task:
    """The subtask under its whole id, with what it does not say itself taken from its parent."""
    whole = child.id if child.id.startswith(f"{parent.id}.") else f"{parent.id}.{child.id}"
    text = {"id": parent.id, "title": parent.title, "description": parent.description, "acceptance": parent.acceptance}
    return child.model_copy(
        update={
            "id": whole,
            "labels": tuple(dict.fromkeys((*child.labels, *parent.labels))),
            "group": child.group or parent.group,
            "role": child.role or parent.role,
            "subagent_type": child.subagent_type or parent.subagent_type,
            "fallback_agents": child.fallback_agents or parent.fallback_agents,
            "applicable_skills": child.applicable_skills or parent.applicable_skills,
            "resources": child.resources or parent.resources,
            "context": {**child.context, "parent": {key: value for key, value in text.items() if value}},
        }
    )


def current_tag(source: Path) -> str | None:
    """The tag that TaskMaster itself works on, from `.taskmaster/state.json`; None where it does not say."""
    state = source.absolute().parent.parent / "state.json"
    try:
        said = json.loads(state.read_bytes())
    except (OSError, ValueError):
        return None
    tag = said.get("currentTag") if isinstance(said, dict) else None
    return tag if isinstance(tag, str) and tag else None


def tags_of(document: Any) -> list[str]:
    """The tags of a tagged file, in order; empty for any other document."""
    if not isinstance(document, dict):
        return []
    return [tag for tag, inner in document.items() if isinstance(inner, dict) and isinstance(inner.get("tasks"), list)]


def select(document: Any, name: str, tag: str | None, current: str | None = None) -> tuple[Place, list[Any]]:
    """The list of entries and its place: under the tag asked for, the current one, `master`, or the only one."""
    tags = tags_of(document)
    bare: tuple[Place, Any] | None = None
    if isinstance(document, list):
        bare = (), document
    elif isinstance(document, dict) and isinstance(document.get("tasks"), list):
        bare = ("tasks",), document["tasks"]
    if bare and tags:
        raise BadInput(
            f"{name} holds both a list of tasks and the tags {', '.join(tags)}", hint="open it in TaskMaster"
        )
    if bare:
        if tag not in (None, DEFAULT_TAG):
            raise BadInput(f"{name} has no tags, so there is no tag {tag!r}", hint="leave out the tag")
        return bare
    if not tags:
        raise BadInput(f"{name} is not a TaskMaster file", hint='expected {"master": {"tasks": [...]}}')
    chosen = tag or next((one for one in (current, DEFAULT_TAG) if one in tags), tags[0] if len(tags) == 1 else None)
    if chosen is None:
        raise BadInput(f"{name} has several tags: {', '.join(tags)}", hint="make one current: task-master use-tag NAME")
    if chosen not in tags:
        raise BadInput(f"{name} has no tag {chosen!r}", hint=f"its tags are {', '.join(tags)}")
    return (chosen, "tasks"), document[chosen]["tasks"]
