"""Frozen records: changed by making a new one."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of all values that cross a boundary; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def evolve(self, **changes: Any) -> Self:
        """The same record with some fields changed, checked again."""
        return type(self).model_validate({**dict(self), **changes})
