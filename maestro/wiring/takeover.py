"""Tells the tracker what a run that died had landed but not yet told: landed work is never dispatched again (E-6).

A run moves the branch first, then writes that down, then tells the tracker; it may die in between. Its journal says
before the move what is to land (`landing`), so the branch itself can be asked. Each dead run is looked at once: a
task that the user opens again afterwards stays open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from maestro.errors import StateError
from maestro.model.events import EVENT, Event, Landed, Landing, RunStarted, TrackerWritten
from maestro.model.task import Progress
from maestro.store import landed
from maestro.store.atomic import write_atomically
from maestro.store.filelocks import is_held
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.trackers.base import Note, Tracker
from maestro.vcs.git import Git

TAKEN_OVER = "taken-over.json"
"""In the folder of a dead run: the tasks that the tracker was told about afterwards."""


def take_over(git: Git, layout: Layout, tracker: Tracker) -> tuple[str, ...]:
    """Close what dead runs over this backlog had landed; the tasks. TrackerError where the tracker refuses a write."""
    told: list[str] = []
    for run_id in _dead_runs(layout, tracker.identity):
        try:
            found = _landed_untold(git, read_journal(layout.journal(run_id)).events)
        except StateError:
            continue  # damaged: nothing is concluded from it, and nothing else stopped by it
        done = {task.id: task.progress is Progress.DONE for task in tracker.load()} if found else {}
        untold = [landing for landing in found if not done.get(landing.task, True)]
        for landing in untold:
            _tell(layout, tracker, run_id, landing)
        tasks = [landing.task for landing in untold]
        write_atomically(layout.run(run_id) / TAKEN_OVER, (json.dumps(tasks) + "\n").encode())
        told += tasks
    return tuple(told)


def _tell(layout: Layout, tracker: Tracker, run_id: str, landing: Landed) -> None:
    note = Note(run_id=run_id, commit=landing.commit, branch=landing.branch)
    tracker.write(landing.task, Progress.DONE, note)
    recorded = landed.read(layout.landed, tracker.identity).get(landing.task)
    if recorded is None or recorded.run_id != run_id:
        record = landed.LandedRecord(
            backlog=tracker.identity,
            task=landing.task,
            run_id=run_id,
            branch=landing.branch,
            commit=landing.commit,
        )
        landed.append(layout.landed, record)


def _dead_runs(layout: Layout, backlog: str) -> Iterator[str]:
    """Runs over the backlog that have no coordinator and came to no end, oldest first."""
    try:
        names = sorted(entry.name for entry in os.scandir(layout.runs) if entry.is_dir())
    except FileNotFoundError:
        return
    for run_id in names:
        ended = layout.summary(run_id).exists() or (layout.run(run_id) / TAKEN_OVER).exists()
        if not ended and _backlog_of(layout.journal(run_id)) == backlog:
            # a run claims before it writes its journal, and writes its summary before it lets go
            alive = is_held(layout.locks / "live" / f"{run_id}.json")
            if not alive and not layout.summary(run_id).exists():
                yield run_id


def _backlog_of(journal: Path) -> str | None:
    """The tracker's identity, from the first event alone; None where there is none to be read."""
    try:
        with journal.open("rb") as file:
            file.readline()
            first = EVENT.validate_json(file.readline())
    except (OSError, ValueError):
        return None
    return first.tracker if isinstance(first, RunStarted) else None


def _landed_untold(git: Git, events: tuple[Event, ...]) -> list[Landed]:
    """What is on its branch now and was not said to the tracker."""
    landings: dict[str, Landed] = {}
    for event in events:
        match event:
            case Landing(tasks=tasks, commits=commits):
                for task, commit in zip(tasks, commits, strict=True):
                    landings[task] = Landed(at=event.at, task=task, commit=commit, branch=event.branch)
            case Landed():
                landings[event.task] = event
            case TrackerWritten(progress=Progress.DONE, error=None):
                landings.pop(event.task, None)
            case _:
                pass
    return [one for one in landings.values() if one.commit is None or _is_on(git, one.commit, one.branch)]


def _is_on(git: Git, commit: str, branch: str) -> bool:
    ref = f"refs/heads/{branch}"
    return git.commit_of(ref) is not None and git.commit_of(commit) is not None and git.is_ancestor(commit, ref)
