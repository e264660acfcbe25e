"""Which dead runs landed what the tracker was never told of, looked for before each run; mostly there is none (E-6)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from maestro.store.filelocks import is_held
from maestro.store.layout import Layout
from maestro.trackers.base import Tracker
from maestro.vcs.git import Git

TAKEN_OVER = "taken-over.json"
"""In the folder of such a run: the tasks that the tracker was told about afterwards, and how long its journal was."""


def take_over(git: Git, layout: Layout, tracker: Tracker) -> tuple[str, ...]:
    """Close what dead runs over this backlog landed untold, and open again what they held; the closed tasks.

    TrackerError where the tracker refuses to close one.
    """
    told: list[str] = []
    for run_id in _runs_to_look_at(layout, tracker.identity):
        from maestro.wiring.takeover import take_over_run  # mostly there is none

        told += take_over_run(git, layout, tracker, run_id)
    return tuple(told)


def is_taken_over(layout: Layout, run_id: str) -> bool:
    """Whether the tracker was told for the run as it stands: one that was resumed and died again was not."""
    try:
        said = json.loads((layout.run(run_id) / TAKEN_OVER).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    length = said.get("journal_bytes") if isinstance(said, dict) else None
    return length is None or length == length_of_journal(layout, run_id)


def length_of_journal(layout: Layout, run_id: str) -> int:
    """By which a run that went on since is known."""
    return layout.journal(run_id).stat().st_size


def _runs_to_look_at(layout: Layout, backlog: str) -> Iterator[str]:
    """Runs over the backlog that died, or ended with a tracker that refused to be told; by name."""
    try:
        names = sorted(entry.name for entry in os.scandir(layout.runs) if entry.is_dir())
    except FileNotFoundError:
        return
    for run_id in names:
        done = is_taken_over(layout, run_id) or _told_all(layout.summary(run_id))
        if not done and _backlog_of(layout.journal(run_id)) == backlog:
            # a run claims before it writes its journal, and writes its summary before it lets go
            alive = is_held(layout.locks / "live" / f"{run_id}.json")
            if not alive and not _told_all(layout.summary(run_id)):
                yield run_id


def _told_all(summary: Path) -> bool:
    """Whether the run ended and the tracker took all it was told; only the few that did not are parsed further."""
    try:
        return b'"tracker_error"' not in summary.read_bytes()
    except OSError:
        return False


def _backlog_of(journal: Path) -> str | None:
    """The tracker's identity, from the first event alone; None where there is none to be read."""
    from maestro.model.events import EVENT, RunStarted  # mostly none is to be read

    try:
        with journal.open("rb") as file:
            file.readline()
            first = EVENT.validate_json(file.readline())
    except (OSError, ValueError):
        return None
    return first.tracker if isinstance(first, RunStarted) else None
