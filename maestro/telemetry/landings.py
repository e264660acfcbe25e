"""Keeps the list of landings that later runs look into (P-4, P-5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from maestro.model.events import AttemptEnded, Event, Landed, RollingBack
from maestro.store.landed import LandedRecord, append, read


class LandingsObserver:
    """An Observer: one line for each landed task."""

    def __init__(self, path: Path, backlog: str, run_id: str, kinds: Mapping[str, str]) -> None:
        """`kinds`: the kind of each task, as planning names it."""
        self._path = path
        self._backlog = backlog
        self._run_id = run_id
        self._kinds = kinds
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def restore(self, events: Sequence[Event]) -> None:
        """Write down what a coordinator had no time for; what it had stands there already."""
        known = read(self._path, self._backlog)
        for event in _still_true(events):
            record = known.get(event.task) if isinstance(event, Landed) else None
            if record is None or record.run_id != self._run_id:
                self.notify(event)

    def notify(self, event: Event) -> None:
        """Write down a landing, with the time all attempts took together."""
        if isinstance(event, AttemptEnded):
            self._seconds[event.task] += event.seconds
        elif isinstance(event, Landed):
            record = LandedRecord(
                backlog=self._backlog,
                task=event.task,
                run_id=self._run_id,
                branch=event.branch,
                commit=event.commit,
                kind=self._kinds.get(event.task, ""),
                minutes=round(self._seconds[event.task] / 60, 4),
            )
            append(self._path, record)

    def close(self) -> None:
        """Nothing is held."""


def _still_true(events: Sequence[Event]) -> list[Event]:
    """Without landings that were rolled back."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, RollingBack):
            kept = [one for one in kept if not (isinstance(one, Landed) and one.task in event.tasks)]
        kept.append(event)
    return kept
