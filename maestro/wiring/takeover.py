"""Tells the tracker what an earlier run landed without telling it: landed work is never dispatched again (E-6).

A run moves the branch first, then writes that down, then tells the tracker; it may die in between, or the tracker
may refuse. Its journal says before the move what is to land (`landing`), so the branch itself can be asked. Each
such run is looked at once: a task that the user opens again afterwards stays open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from maestro.errors import StateError
from maestro.model.events import (
    EVENT,
    AttemptEnded,
    Event,
    Landed,
    Landing,
    RollingBack,
    RunStarted,
    TrackerAdded,
    TrackerClaiming,
    TrackerWritten,
)
from maestro.model.outcome import Succeeded
from maestro.model.report import Discovery
from maestro.model.task import Progress
from maestro.store import landed
from maestro.store.atomic import write_atomically
from maestro.store.filelocks import is_held
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.trackers.base import BulkTracker, Note, Tracker, Writing
from maestro.vcs.git import Git

TAKEN_OVER = "taken-over.json"
"""In the folder of such a run: the tasks that the tracker was told about afterwards, and how long its journal was."""


def take_over(git: Git, layout: Layout, tracker: Tracker) -> tuple[str, ...]:
    """Close what dead runs over this backlog landed untold, and open again what they held; the closed tasks.

    TrackerError where the tracker refuses to close one.
    """
    told: list[str] = []
    for run_id in _runs_to_look_at(layout, tracker.identity):
        told += take_over_run(git, layout, tracker, run_id)
    return tuple(told)


def take_over_run(git: Git, layout: Layout, tracker: Tracker, run_id: str) -> tuple[str, ...]:
    """The same for one run, of which the caller knows that it is dead and over this backlog."""
    try:
        events = read_journal(layout.journal(run_id)).events
    except StateError:
        return ()  # damaged: nothing is concluded from it, and nothing else stopped by it
    found = _landed_untold(git, events)
    done = {task.id: task.progress is Progress.DONE for task in tracker.load()} if found else {}
    untold = [landing for landing in found if not done.get(landing.task, True)]
    for landing in untold:
        _tell(layout, tracker, run_id, landing)
    _add_discovered(git, tracker, run_id, events)
    _give_back(tracker, run_id, events)
    tasks = [landing.task for landing in untold]
    said = {"tasks": tasks, "journal_bytes": _length(layout, run_id)}
    write_atomically(layout.run(run_id) / TAKEN_OVER, (json.dumps(said) + "\n").encode())
    return tuple(tasks)


def is_taken_over(layout: Layout, run_id: str) -> bool:
    """Whether the tracker was told for the run as it stands: one that was resumed and died again was not."""
    try:
        said = json.loads((layout.run(run_id) / TAKEN_OVER).read_bytes())
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    length = said.get("journal_bytes") if isinstance(said, dict) else None
    return length is None or length == _length(layout, run_id)


def _length(layout: Layout, run_id: str) -> int:
    return layout.journal(run_id).stat().st_size


def owed(git: Git, events: tuple[Event, ...]) -> tuple[list[str], list[str]]:
    """By the journal of a dead run: what landed and the tracker was not told of, and what the tracker holds for it."""
    return [landing.task for landing in _landed_untold(git, events)], sorted(_held(events))


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
    try:
        with journal.open("rb") as file:
            file.readline()
            first = EVENT.validate_json(file.readline())
    except (OSError, ValueError):
        return None
    return first.tracker if isinstance(first, RunStarted) else None


def _landed_untold(git: Git, events: tuple[Event, ...]) -> list[Landed]:
    """What is on its branch now and was not said to the tracker."""
    told: set[str] = set()
    for event in events:
        match event:
            case TrackerWritten(progress=Progress.DONE, error=None):
                told.add(event.task)
            case RollingBack(tasks=tasks):
                told.difference_update(tasks)
            case _:
                pass
    return [landing for landing in _landed(git, events) if landing.task not in told]


def _landed(git: Git, events: tuple[Event, ...]) -> list[Landed]:
    """What is on its branch now."""
    landings: dict[str, Landed] = {}
    for event in events:
        match event:
            case Landing(tasks=tasks, commits=commits):
                for task, commit in zip(tasks, commits, strict=True):
                    landings[task] = Landed(at=event.at, task=task, commit=commit, branch=event.branch)
            case Landed():
                landings[event.task] = event
            case RollingBack(tasks=tasks):
                for task in tasks:
                    landings.pop(task, None)
            case _:
                pass
    return [one for one in landings.values() if one.commit is None or _is_on(git, one.commit, one.branch)]


def _add_discovered(git: Git, tracker: Tracker, run_id: str, events: tuple[Event, ...]) -> None:
    """Give the tracker what the agents of landed tasks discovered and it was not given; adding is safe to repeat."""
    if not isinstance(tracker, BulkTracker):
        return
    found: dict[str, tuple[Discovery, ...]] = {}
    for event in events:
        match event:
            case AttemptEnded(outcome=Succeeded(discovered=discovered)):
                found[event.task] = discovered
            case TrackerAdded(error=None):
                found.pop(event.task, None)
            case _:
                pass
    if not any(found.values()):
        return
    for landing in _landed(git, events):
        if discovered := found.get(landing.task, ()):
            note = Note(run_id=run_id, commit=landing.commit, branch=landing.branch)
            tracker.discover(landing.task, discovered, note)


def _give_back(tracker: Tracker, run_id: str, events: tuple[Event, ...]) -> None:
    """Open again what the run claimed and nobody holds any more: this run may not be the one that can start it."""
    if not isinstance(tracker, BulkTracker):
        return
    held = _held(events)
    if not held:
        return
    note = Note(run_id=run_id, reason="the run broke off before it was done")
    left = [
        Writing(task=task.id, progress=Progress.OPEN, note=note)
        for task in tracker.load()
        if task.id in held and task.progress is Progress.IN_PROGRESS and not task.set_aside
    ]
    if left:
        tracker.write_many(left)  # what is refused has found somebody meanwhile


def _held(events: tuple[Event, ...]) -> set[str]:
    """What the tracker gave to the run, and was told no end of."""
    held: set[str] = set()
    for event in events:
        match event:
            case TrackerClaiming(tasks=tasks):
                held |= set(tasks)
            case TrackerWritten(error=None):
                held.discard(event.task)
            case _:
                pass
    return held


def _is_on(git: Git, commit: str, branch: str) -> bool:
    ref = f"refs/heads/{branch}"
    return git.commit_of(ref) is not None and git.commit_of(commit) is not None and git.is_ancestor(commit, ref)
