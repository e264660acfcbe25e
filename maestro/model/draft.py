"""A run while events are folded into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from maestro.model.run import GroupRun, Run, TaskRun


class Draft:
    """Mutable, for as long as a fold takes. The run it was made from is never touched: its tasks are copied before the
    first of them changes, once for all events, for a run has thousands of them and tens of thousands of events."""

    def __init__(self, run: Run) -> None:
        self._run = run  # all but its tasks
        self._tasks: dict[str, TaskRun] | None = None  # None: as in the run
        self._warnings: list[str] = []  # new ones

    @property
    def run(self) -> Run:
        """As it stands; its tasks are asked for by `tasks` alone, and its warnings not at all."""
        return self._run

    @property
    def tasks(self) -> Mapping[str, TaskRun]:
        """As they stand."""
        return self._run.tasks if self._tasks is None else self._tasks

    def put(self, *tasks: TaskRun) -> None:
        """Tasks as they stand now."""
        if self._tasks is None:
            self._tasks = dict(self._run.tasks)
        self._tasks.update({task.id: task for task in tasks})

    def put_groups(self, groups: Iterable[GroupRun]) -> None:
        """Groups as they stand now."""
        self.change(groups={**self._run.groups, **{group.id: group for group in groups}})

    def warn(self, message: str) -> None:
        """One more warning."""
        self._warnings.append(message)

    def change(self, **changes: Any) -> None:
        """Whatever else is otherwise now."""
        self._run = self._run.model_copy(update=changes)

    def result(self) -> Run:
        """The run; what is put in later is no part of it."""
        if self._tasks is not None:
            self.change(tasks=self._tasks)
            self._tasks = None
        if self._warnings:
            self.change(warnings=(*self._run.warnings, *self._warnings))
            self._warnings = []
        return self._run
