"""What attempts of all runs of a repository have used, for the budgets of a day (A-7).

progress/spent/<UTC date>.jsonl, one line for each ended attempt. A day of the user's lies in two of these files at
most, whatever the time zone, so that no look reads more than two days, and of these only what came since the last look.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from maestro.errors import StateError
from maestro.model.budget import Spent
from maestro.model.record import Record
from maestro.store.appending import append_line


class SpentRecord(Record):
    """One ended attempt. None: its agent did not say."""

    at: datetime
    run_id: str
    attempt_id: str  # unique on the machine: one written twice counts once
    cost_usd: float | None
    tokens: int | None


def append(folder: Path, record: SpentRecord) -> None:
    """Write one down. StateError names the path."""
    append_line(_file(folder, record.at.astimezone(UTC).date()), record.model_dump_json().encode())


class SpentLists:
    """Reads them as they grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[date, int] = {}  # bytes read so far
        self._records: dict[date, dict[str, SpentRecord]] = {}

    def since(self, begin: datetime, now: datetime) -> Spent:
        """What all attempts that ended since then have used. StateError names the path."""
        first, last = begin.astimezone(UTC).date(), now.astimezone(UTC).date()
        records = [record for record in self.records(first, last).values() if record.at >= begin]
        costs = [record.cost_usd for record in records if record.cost_usd is not None]
        tokens = [record.tokens for record in records if record.tokens is not None]
        return Spent(cost_usd=sum(costs) if costs else None, tokens=sum(tokens) if tokens else None)

    def records(self, first: date, last: date) -> dict[str, SpentRecord]:
        """Attempt → its record, of all attempts that ended on these days (UTC)."""
        found: dict[str, SpentRecord] = {}
        day = first
        while day <= last:
            found |= self._day(day)
            day += timedelta(days=1)
        return found

    def _day(self, day: date) -> dict[str, SpentRecord]:
        known = self._records.setdefault(day, {})
        path, offset = _file(self._folder, day), self._read.get(day, 0)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return known
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from error
        whole = data.rfind(b"\n") + 1
        self._read[day] = offset + whole
        for line in data[:whole].split(b"\n"):
            with contextlib.suppress(ValueError):  # torn, by a run that was killed
                record = SpentRecord.model_validate_json(line)
                known[record.attempt_id] = record
        return known


def _file(folder: Path, day: date) -> Path:
    return folder / f"{day.isoformat()}.jsonl"
