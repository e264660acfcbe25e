"""What landed: which task in which run, as which commit, on which branch, and how long it took; one line each.

Later runs look into it for dependencies that landed elsewhere (P-4) and for the time a kind of task takes (P-5).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from maestro.errors import StateError
from maestro.model.record import Record
from maestro.store.appending import append_line


class LandedRecord(Record):
    """One landing. `backlog` is the tracker's identity: equal ids of other backlogs are other tasks."""

    backlog: str
    task: str
    run_id: str
    branch: str
    commit: str | None  # None: nothing had to change
    kind: str = ""  # of the task, as planning names it
    minutes: float | None = None  # of work, all attempts together
    undone: bool = False  # rolled back (E-9): from here on it counts as never landed


def append(path: Path, record: LandedRecord) -> None:
    """Add a landing. StateError names the path."""
    append_line(path, json.dumps(record.model_dump()).encode())


def read(path: Path, backlog: str) -> dict[str, LandedRecord]:
    """The last landing of each task of a backlog, those that were rolled back aside."""
    last = {record.task: record for record in _records(path) if record.backlog == backlog}
    return {task: record for task, record in last.items() if not record.undone}


def typical_minutes(path: Path) -> dict[str, float]:
    """Median minutes of each kind of task, over all backlogs of the repository."""
    known: dict[str, list[float]] = {}
    for record in _records(path):
        if record.minutes is not None and not record.undone:  # else its time would count twice
            known.setdefault(record.kind, []).append(record.minutes)
    if not known:
        return {}
    from statistics import median  # there is nothing to take it of in most repositories

    return {kind: median(minutes) for kind, minutes in known.items()}


def kinds(path: Path) -> dict[str, dict[str, str]]:
    """Run → task → its kind, of all that landed."""
    known: dict[str, dict[str, str]] = {}
    for record in _records(path):
        if record.kind:
            known.setdefault(record.run_id, {})[record.task] = record.kind
    return known


def _records(path: Path) -> Iterator[LandedRecord]:
    """All that is written down; torn lines are passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    for line in lines:
        with contextlib.suppress(ValueError):
            yield LandedRecord.model_validate_json(line)
