"""The report an agent may leave (A-2), as the engine judges it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from maestro.model.record import Record


class Report(Record):
    """What the agent says of its own work."""

    status: Literal["done", "failed", "blocked", "no_change"]
    summary: str = ""
    confidence: float | None = Field(default=None, ge=0, le=1)
    notes: tuple[str, ...] = ()


class BadReport(Record):
    """A report file that cannot be used; counts as no report, and is named."""

    reason: str
