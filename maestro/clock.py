"""The only place that reads the clock; tests pass their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for durations."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


def midnight_before(moment: datetime) -> datetime:
    """When the day of a moment began here, by the time zone of this process."""
    local = moment.astimezone()
    # made from the bare date: on a day of a clock change midnight has another offset than the moment
    return datetime(local.year, local.month, local.day).astimezone()


def as_z(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a Z (S-1)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
