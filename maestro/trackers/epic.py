"""Sprint epics in JSON or YAML (T-5): each sprint (or phase) is a task.

The file holds a list under `sprints` or `phases`, at the top or under `epic`. Of a sprint, `deliverables` go into the
description, `acceptanceCriteria` are the acceptance, `estimatedDuration` ("2 hours", "3 days", "1 week"; a bare number
counts hours) is the estimate; nested agents and everything else stay as context. Other fields are those of a task
file. Progress is kept beside the runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maestro.errors import BadInput
from maestro.model.task import Task
from maestro.trackers.duration import minutes_of
from maestro.trackers.entries import Entry
from maestro.trackers.fields import as_plain, kind_of, task_from
from maestro.trackers.jsontext import Place
from maestro.trackers.taskfile import TaskFile

LISTS = ("sprints", "phases")
_IDS = ("id", "sprint_id", "sprintId", "phase_id", "phaseId")
_DURATIONS = ("estimatedDuration", "estimated_duration")


def list_place(document: Any) -> Place | None:
    """Where an epic's list of sprints is; None for any other document."""
    if not isinstance(document, dict):
        return None
    for prefix, holder in (((), document), (("epic",), document.get("epic"))):
        if isinstance(holder, dict):
            for key in LISTS:
                if key in holder:
                    return (*prefix, key)
    return None


class Epic(TaskFile):
    """An epic's sprints as tasks."""

    kind = "epic"

    def __init__(self, repository: Path, source: Path) -> None:
        super().__init__(repository, source)

    def entries_in(self, document: Any) -> list[Entry]:
        """The sprints."""
        place = list_place(document)
        if place is None:
            raise BadInput(f"{self.name} has no sprints", hint='an epic has a list "sprints" or "phases"')
        found = document
        for step in place:
            found = found[step]
        if not isinstance(found, list):
            raise BadInput(f'"{place[-1]}" in {self.name} is {kind_of(found)}, not a list')
        word = str(place[-1]).removesuffix("s")
        return [Entry(one, (*place, index), f"{self.name}, {word} {index + 1}") for index, one in enumerate(found)]

    def task_of(self, entry: Entry) -> Task:
        """The task of one sprint."""
        if not isinstance(entry.value, dict):
            return task_from(entry.value, entry.where)  # refuses it
        sprint = {key: value for key, value in entry.value.items() if value is not None}
        for alias in _IDS:
            if alias in sprint and "id" not in sprint:
                sprint["id"] = sprint.pop(alias)
        deliverables = sprint.pop("deliverables", None)
        files = sprint.get("files")
        if not _is_list_of_text(files):  # a nested account of files says nothing about who writes which
            sprint.pop("files", None)
        task = task_from(sprint, entry.where)
        changes: dict[str, Any] = {"context": dict(task.context)}
        if files is not None:
            changes["context"]["files"] = as_plain(files)
        if deliverables is not None:
            text = _deliverables(deliverables, entry.where)
            changes["description"] = f"{task.description}\n\n{text}".strip()
        for alias in _DURATIONS:
            if alias in sprint and task.estimate_minutes is None:
                changes["estimate_minutes"] = minutes_of(sprint[alias], number_is="h")
        return task.model_copy(update=changes)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _deliverables(value: Any, where: str) -> str:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise BadInput(f"{where}: deliverables must be a list, not {kind_of(value)}")
    lines = [one.get("name") or one.get("title") or str(one) if isinstance(one, dict) else str(one) for one in value]
    return "\n".join(("Deliverables:", *(f"- {line}" for line in lines)))
