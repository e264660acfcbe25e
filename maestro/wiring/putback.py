"""What is kept about tasks that a rollback takes back: in the tracker, the list of landings, metadata.json and the
summary of the run. Every step may be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maestro.errors import MaestroError, StateError
from maestro.model.events import Event, Landed, RollingBack, TrackerWritten
from maestro.model.folding import fold
from maestro.model.result import result_object
from maestro.model.task import Progress, Task
from maestro.store import landed
from maestro.store.atomic import write_atomically
from maestro.store.blueprint import Blueprint
from maestro.store.layout import Layout
from maestro.telemetry.metadata import write_groups
from maestro.trackers.base import BulkTracker, Note, Tracker, Writing
from maestro.vcs.git import Git
from maestro.wiring.backlog import open_backlog


@dataclass(frozen=True)
class TakenBack:
    """A rollback, and where what is kept of its tasks is found. `events`: of the run, so far."""

    git: Git
    layout: Layout
    blueprint: Blueprint
    events: Sequence[Event]
    event: RollingBack
    environ: Mapping[str, str]


def put_back_records(back: TakenBack) -> dict[str, str]:
    """Let all that is kept say that the tasks wait again; those that the tracker refuses, with a clause.

    TrackerError or BadInput where the tracker cannot be used at all: the rollback can be completed later.
    """
    layout, blueprint = back.layout, back.blueprint
    refused = _open_again(back)
    _forget_landings(layout, blueprint, back.event)
    write_groups(layout, back.events)
    result = result_object(fold(back.events), blueprint.done_before)
    write_atomically(layout.summary(blueprint.run_id), (json.dumps(result, indent=2) + "\n").encode())
    return refused


def foreseen_refusals(back: TakenBack) -> dict[str, str]:
    """The tasks that the tracker would not open again, a clause each; nothing is written. Errors as above."""
    if not back.event.tasks:
        return {}
    known = {task.id: task for task in _tracker(back).load()}
    refused, to_open = _looked_at(known, back)
    return refused | {task: "a person has closed it" for task in to_open if known[task].done_by_hand}


def _open_again(back: TakenBack) -> dict[str, str]:
    if not back.event.tasks:
        return {}
    tracker = _tracker(back)
    refused, to_open = _looked_at({task.id: task for task in tracker.load()}, back)
    note = _note(back.blueprint.run_id, back.event)
    return refused | _written(tracker, [Writing(task=task, progress=Progress.OPEN, note=note) for task in to_open])


def _looked_at(known: Mapping[str, Task], back: TakenBack) -> tuple[dict[str, str], list[str]]:
    """Of what waits again: what is somebody else's by now, a clause each, and what the tracker is to open."""
    records = landed.read(back.layout.landed, back.blueprint.tracker_identity)
    told = _told_done(back.events)
    refused: dict[str, str] = {}
    to_open = []
    for task in back.event.tasks:
        record = records.get(task)
        if task not in known:
            refused[task] = "the backlog does not have it any more"
        elif record is not None and record.run_id != back.blueprint.run_id:
            refused[task] = f"run {record.run_id} has landed it meanwhile on {record.branch}"
        elif known[task].progress is Progress.IN_PROGRESS and task in told:
            refused[task] = "somebody has taken it meanwhile"
        elif known[task].progress in (Progress.DONE, Progress.IN_PROGRESS):
            to_open.append(task)
    return refused, to_open


def _told_done(events: Sequence[Event]) -> set[str]:
    """What the tracker has taken for done: if it is in progress there by now, it is not the run that works on it."""
    told: set[str] = set()
    for event in events:
        match event:
            case Landed():
                told.discard(event.task)
            case TrackerWritten(progress=Progress.DONE, error=None):
                told.add(event.task)
            case _:
                pass
    return told


def _tracker(back: TakenBack) -> Tracker:
    """The backlog of the run as it was meant then, whatever else there is by now."""
    blueprint = back.blueprint
    settings = blueprint.settings.model_copy(update={"tracker": blueprint.tracker_kind})
    tracker, _ = open_backlog(back.git, settings, standard_input=blueprint.standard_input, environ=back.environ)
    if tracker.identity != blueprint.tracker_identity:
        raise StateError(
            f"the backlog of run {blueprint.run_id} was {blueprint.tracker_identity}, and there is {tracker.identity}",
            hint="put it back to where it was, then give the same command again",
        )
    return tracker


def _note(run_id: str, event: RollingBack) -> Note:
    reason = f"rolled back to {event.checkpoint}: what had landed is off {event.branch} again"
    return Note(run_id=run_id, reason=reason, saved_ref=event.saved_refs[0] if event.saved_refs else None)


def _written(tracker: Tracker, writes: Sequence[Writing]) -> dict[str, str]:
    if isinstance(tracker, BulkTracker):
        return dict(tracker.write_many(writes)) if writes else {}
    refused = {}
    for one in writes:
        try:
            tracker.write(one.task, one.progress, one.note)
        except (MaestroError, OSError) as error:
            refused[one.task] = str(error)
    return refused


def _forget_landings(layout: Layout, blueprint: Blueprint, event: RollingBack) -> None:
    """Of this run only: what another has landed since stays landed."""
    records = landed.read(layout.landed, blueprint.tracker_identity)
    for task in event.tasks:
        record = records.get(task)
        if record is not None and record.run_id == blueprint.run_id:
            landed.append(layout.landed, record.evolve(undone=True))
