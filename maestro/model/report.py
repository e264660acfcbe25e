"""The report an agent may leave (A-2), as the engine judges it."""

# no `from __future__ import annotations`: see maestro.model.record

from typing import Literal

from pydantic import ConfigDict, Field

from maestro.model.record import Record


class Discovery(Record):
    """Work that an agent came across and left alone: becomes a task of its own where the tracker can have one."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    title: str = Field(min_length=1, max_length=500)
    description: str = ""
    kind: str = "task"  # task, bug, chore, feature …, as the tracker knows it
    priority: int | None = Field(default=None, ge=0, le=4)  # 0 is the most urgent


class Report(Record):
    """What the agent says of its own work. Keys beyond these are let through and ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    status: Literal["done", "failed", "blocked", "no_change"]
    summary: str = ""
    confidence: float | None = Field(default=None, ge=0, le=1)
    notes: tuple[str, ...] = ()
    discovered: tuple[Discovery, ...] = ()


class BadReport(Record):
    """There is a report file, but it cannot be used."""

    reason: str  # a clause for people
