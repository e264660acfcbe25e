"""The history of runs (S-2): an observer that writes it as a run goes, and what brings it up to date with the journals.

The observer folds, which costs a few microseconds an event, and hands all rows to a thread: now and then while the run
goes on, and at its end. Whatever it missed (a crash, a full disk, a database that was thrown away) is
read from the journals by whoever asks for the history next.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro.errors import StateError
from maestro.model.events import Event, RunEnded, RunStarted
from maestro.store import landed
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.store.standing import DIED, is_alive
from maestro.telemetry.history_rows import RunRows

if TYPE_CHECKING:
    from maestro.store.historydb import History

EVERY_SECONDS = 30.0
"""Of the run's own time, between two writings; the end is always written."""


class HistoryObserver:
    """An Observer. When `close` has returned, the run is in the history; a write that failed is raised there."""

    def __init__(self, layout: Layout, kinds: Mapping[str, str]) -> None:
        """`kinds`: the kind of each task, as planning names it."""
        self._layout = layout
        self._rows = RunRows(kinds)
        self._written: Event | None = None  # the last thing to have happened when it was last written
        self._writer: threading.Thread | None = None
        self._failure: Exception | None = None

    def restore(self, events: Sequence[Event]) -> None:
        """Take what happened before this process."""
        for event in events:
            self._rows.take(event)

    def notify(self, event: Event) -> None:
        """Fold one event; now and then, what is known is written in the background."""
        self._rows.take(event)
        self._written = self._written or event  # a short run is written once
        is_due = (event.at - self._written.at).total_seconds() >= EVERY_SECONDS
        if is_due and not isinstance(event, RunEnded) and (self._writer is None or not self._writer.is_alive()):
            self._written = event
            rows = self._rows.rows()
            self._writer = threading.Thread(target=self._write, args=(rows,), name="history", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Write the end."""
        if self._writer is not None:
            self._writer.join()
        if self._rows.run_id is None:
            return
        self._failure = None  # the whole is written once more
        # nobody writes to the journal any more; a run that broke off is left to who reads it
        size = _size(self._layout.journal(self._rows.run_id)) if self._rows.has_ended else 0
        self._write(self._rows.rows(journal_bytes=size))
        if self._failure is not None:
            raise self._failure

    def _write(self, rows: dict[str, list[Any]]) -> None:
        from maestro.store.historydb import history

        try:
            with history(self._layout) as found:
                found.replace(str(self._rows.run_id), rows)
        except Exception as error:
            self._failure = error


def bring_up_to_date(layout: Layout, found: History) -> tuple[str, ...]:
    """Let the history say what the journals say; the runs whose journals cannot be read.

    Only journals that have grown since are read. Runs whose folders are gone stay as they are.
    """
    known = found.known()
    kinds: dict[str, dict[str, str]] | None = None
    unreadable = []
    for run_id, journal in _journals(layout):
        size, status = known.get(run_id, (0, ""))
        if size == _size(journal) and status != "running":
            continue
        if kinds is None:
            kinds = landed.kinds(layout.landed)
        alive = is_alive(layout, run_id)  # before the journal is read, or a run that just ends would seem dead
        try:
            rows = _rows_of(layout, run_id, kinds.get(run_id, {}), alive=alive)
        except StateError:
            unreadable.append(run_id)
            continue
        if rows:
            found.replace(run_id, rows)
    return tuple(unreadable)


def _rows_of(layout: Layout, run_id: str, kinds: Mapping[str, str], *, alive: bool) -> dict[str, list[Any]]:
    """The rows of one run by its journal; empty where it never began."""
    journal = layout.journal(run_id)
    size = _size(journal)
    events = read_journal(journal).events
    if not events or not isinstance(events[0], RunStarted):
        return {}
    folded = RunRows(kinds)
    for event in events:
        folded.take(event)
    return folded.rows(is_dead=not alive, why_dead=DIED, journal_bytes=0 if alive else size)


def _journals(layout: Layout) -> Iterator[tuple[str, Path]]:
    try:
        names = sorted(entry.name for entry in os.scandir(layout.runs) if entry.is_dir())
    except FileNotFoundError:
        return
    for name in names:
        journal = layout.journal(name)
        if journal.is_file():
            yield name, journal


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
