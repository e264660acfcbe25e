"""Keeps the lists of what each attempt used, into which every run with a budget of a day looks (A-7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from maestro.model.budget import Spent
from maestro.model.events import AttemptEnded, Event, ModelUsed
from maestro.store.spent import SpentLists, SpentRecord, append


class SpendingObserver:
    """An Observer: one line for each ended attempt, and each other use of a model, that told what it used."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._spent = Spent()

    def restore(self, events: Sequence[Event]) -> None:
        """In a run that is resumed: count on from there, and write down what its coordinator died before."""
        records = [record for event in events if (record := self._count(event)) is not None]
        if not records:
            return
        days = [record.at.astimezone(UTC).date() for record in records]
        known = SpentLists(self._folder).records(min(days), max(days))
        for record in records:
            if record.attempt_id not in known:
                append(self._folder, record)

    def notify(self, event: Event) -> None:
        """Write down what was used."""
        if (record := self._count(event)) is not None:
            append(self._folder, record)

    def _count(self, event: Event) -> SpentRecord | None:
        """What came with this event; None where nothing was used, or nobody says how much."""
        match event:
            case AttemptEnded():
                usage, marker = event.outcome.usage, event.attempt_id
            case ModelUsed():
                usage, marker = event.usage, event.marker
            case _:
                return None
        cost, tokens = self._spent.new_in(usage)
        self._spent = self._spent.plus(usage)
        if cost is None and tokens is None:
            return None
        return SpentRecord(at=event.at, run_id=self._run_id, attempt_id=marker, cost_usd=cost, tokens=tokens)

    def close(self) -> None:
        """Nothing is held."""
