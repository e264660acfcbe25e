"""Tells the tracker what an earlier run landed without telling it: landed work is never dispatched again (E-6).

A run moves the branch first, then writes that down, then tells the tracker; it may die in between, or the tracker
may refuse. Its journal says before the move what is to land (`landing`), so the branch itself can be asked. Each
such run is looked at once: a task that the user opens again afterwards stays open.
"""

from __future__ import annotations

import json

from maestro.errors import StateError
from maestro.model.events import (
    AttemptEnded,
    Event,
    Landed,
    Landing,
    RollingBack,
    TrackerAdded,
    TrackerClaiming,
    TrackerWritten,
)
from maestro.model.outcome import Succeeded
from maestro.model.report import Discovery
from maestro.model.task import Progress
from maestro.store import landed
from maestro.store.atomic import write_atomically
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.trackers.base import BulkTracker, Note, Tracker, Writing
from maestro.vcs.git import Git
from maestro.wiring.untold import TAKEN_OVER, length_of_journal


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
    said = {"tasks": tasks, "journal_bytes": length_of_journal(layout, run_id)}
    write_atomically(layout.run(run_id) / TAKEN_OVER, (json.dumps(said) + "\n").encode())
    return tuple(tasks)


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
