"""A task as the tracker gives it."""

# no `from __future__ import annotations`: see maestro.model.record

from enum import StrEnum
from typing import Any

from pydantic import Field

from maestro.model.record import Record


class Progress(StrEnum):
    """What the tracker says of a task before the run."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    BLOCKED = "blocked"
    DEFERRED = "deferred"
    DONE = "done"  # the only one that satisfies a dependency (P-4)
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # a word this maestro does not know: never "done"


RUNNABLE = frozenset({Progress.OPEN, Progress.IN_PROGRESS})
"""Tasks that a run takes up; in_progress ones are what a dead run or a person left behind."""


class LandedBefore(Record):
    """Where a done task landed, as its tracker says: by a maestro run in this clone or in another."""

    commit: str
    run_id: str = ""  # empty: the tracker does not say
    branch: str = ""


class Task(Record):
    """One unit of work for one agent."""

    id: str = Field(min_length=1)
    title: str = ""
    description: str = ""
    acceptance: str = ""
    dependencies: tuple[str, ...] = ()
    progress: Progress = Progress.OPEN
    landed: LandedBefore | None = None  # of a done task that maestro itself has closed, where the tracker keeps that
    done_by_hand: bool = False  # a person closed it, whatever runs before may have landed; where the tracker can tell
    set_aside: str = ""  # why nobody else may take it up, as the end of "it …": "is assigned to alice"
    priority: int = 2  # 0 is the most urgent, as in beads
    labels: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # declared paths and globs, relative to the repository
    estimate_minutes: float | None = None
    group: str | None = None  # an explicit group; markers in the text are read by planning
    role: str | None = None  # prompt template: implementation, frontend, quality, testing …
    subagent_type: str | None = None
    fallback_agents: tuple[str, ...] = ()
    applicable_skills: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()  # named resources that an attempt holds (I-7); labels are read by planning
    context: dict[str, Any] = Field(default_factory=dict)  # fields maestro does not know, kept for the prompt

    @property
    def is_runnable(self) -> bool:
        """Whether a run may take it up, as far as the tracker is concerned."""
        return self.progress in RUNNABLE and not self.set_aside
