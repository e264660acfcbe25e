"""Compares a resumed run with its tracker: what others did to its tasks while nobody worked on it (E-6). Blocks."""

from __future__ import annotations

from maestro.engine.context import RunContext
from maestro.model.record import Record
from maestro.model.states import FINAL
from maestro.model.task import Progress, Task
from maestro.store import landed


class Difference(Record):
    """A task that the run has not landed and the tracker has as done."""

    task: str
    what: str  # a clause for people
    is_theirs: bool  # somebody else did it, so that it is not done again


def differences(context: RunContext, is_shared: bool) -> list[Difference]:
    """All of them. TrackerError where the tracker cannot be read: nothing is guessed.

    A task that nobody is known to have done was closed by mistake, for only what has landed is done. A tracker that
    people work on too is asked again before each start and each landing, so there a person's word is left to that.
    """
    run = context.recorder.run
    elsewhere = landed.read(context.layout.landed, context.tracker.identity)
    found = []
    for task in context.tracker.load():
        mine = run.tasks.get(task.id)
        if mine is None or mine.state in FINAL or task.progress is not Progress.DONE:
            continue
        if (where := _other_run(task, elsewhere.get(task.id), context.run_id)) is not None:
            found.append(Difference(task=task.id, what=where, is_theirs=True))
        elif not (is_shared and task.done_by_hand):
            what = f"the tracker had {task.id} as done, but it has not landed"
            found.append(Difference(task=task.id, what=what, is_theirs=False))
    return found


def closed_by_hand(task: str) -> Difference:
    """It cannot be opened again: the word is not maestro's own but that of whoever keeps the file, and it stands."""
    return Difference(
        task=task, what=f"the backlog itself has {task} as done, so somebody has closed it", is_theirs=True
    )


def _other_run(task: Task, record: landed.LandedRecord | None, run_id: str) -> str | None:
    """The run that has landed it meanwhile, as a clause; None where none has."""
    if task.landed is not None and task.landed.run_id not in ("", run_id):
        return f"run {task.landed.run_id} has landed it meanwhile on {task.landed.branch or task.landed.commit[:12]}"
    if record is not None and record.run_id != run_id:
        return f"run {record.run_id} has landed it meanwhile on {record.branch}"
    return None
