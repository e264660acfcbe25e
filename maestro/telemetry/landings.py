"""Keeps the list of landings that later runs look into (P-4)."""

from __future__ import annotations

from pathlib import Path

from maestro.model.events import Event, Landed
from maestro.store.landed import LandedRecord, append


class LandingsObserver:
    """An Observer: one line for each landed task with a commit."""

    def __init__(self, path: Path, backlog: str, run_id: str) -> None:
        self._path = path
        self._backlog = backlog
        self._run_id = run_id

    def notify(self, event: Event) -> None:
        """Write down a landing."""
        if isinstance(event, Landed) and event.commit is not None:
            append(
                self._path,
                LandedRecord(
                    backlog=self._backlog,
                    task=event.task,
                    run_id=self._run_id,
                    branch=event.branch,
                    commit=event.commit,
                ),
            )

    def close(self) -> None:
        """Nothing is held."""
