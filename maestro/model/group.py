"""What metadata.json says about a parallel group: exactly the fields of S-1."""

# no `from __future__ import annotations`: see maestro.model.record

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from maestro.model.record import Record
from maestro.model.states import GroupPhase, GroupStatus


def _z(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_z, return_type=str)]
"""Written as ISO 8601 in UTC with a Z."""


class TaskStatus(StrEnum):
    """Status of a task in metadata.json."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"  # landed
    FAILED = "failed"
    BLOCKED = "blocked"  # also one that was stopped before it ended


ENDED = frozenset({GroupStatus.COMPLETED, GroupStatus.FAILED, GroupStatus.BLOCKED})
"""Statuses a group does not leave."""


class TaskMetadata(Record):
    """One entry of `results`."""

    task_id: str
    subagent: str | None = None
    skills_applied: tuple[str, ...] = ()
    status: TaskStatus = TaskStatus.PENDING
    started_at: Moment | None = None  # of its first attempt
    completed_at: Moment | None = None
    attempts: int = 0
    commit: str | None = None  # on the integration branch
    reason: str = ""  # why it is not completed
    run_id: str = ""


class GroupMetadata(Record):
    """One metadata.json."""

    group_id: str
    group_name: str
    phase: GroupPhase = GroupPhase.PRE_EXECUTION
    tasks: tuple[str, ...]
    created_at: Moment
    started_at: Moment | None = None
    completed_at: Moment | None = None
    status: GroupStatus = GroupStatus.PENDING
    results: tuple[TaskMetadata, ...] = Field(default=())
    errors: tuple[str, ...] = ()
    pre_group_refresh_completed: bool = False

    @property
    def is_final(self) -> bool:
        """Whether the group has ended."""
        return self.status in ENDED

    @property
    def run_id(self) -> str:
        """The run that works on the group; empty in a file that another tool wrote."""
        return self.results[0].run_id if self.results else ""

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def group_name(group_id: str) -> str:
    """The name for people."""
    return f"Parallel Group {group_id}"
