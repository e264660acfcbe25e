"""What landed: which task in which run, as which commit, on which branch, and how long it took; one line each.

Later runs look into it for dependencies that landed elsewhere (P-4) and for the time a kind of task takes (P-5).
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from maestro.errors import StateError
from maestro.model.record import Record


class LandedRecord(Record):
    """One landing. `backlog` is the tracker's identity: equal ids of other backlogs are other tasks."""

    backlog: str
    task: str
    run_id: str
    branch: str
    commit: str | None  # None: nothing had to change
    kind: str = ""  # of the task, as planning names it
    minutes: float | None = None  # of work, all attempts together


def append(path: Path, record: LandedRecord) -> None:
    """Add a landing. One write at the end of the file, so that several runs may do it at once, and not synced: the
    journals are the truth, this list only saves reading all of them. StateError names the path."""
    line = json.dumps(record.model_dump()).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # by a run that was killed, or a full disk
            os.write(fd, b"\n" + line if torn else line)
        finally:
            os.close(fd)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path, backlog: str) -> dict[str, LandedRecord]:
    """The last landing of each task of a backlog."""
    return {record.task: record for record in _records(path) if record.backlog == backlog}


def typical_minutes(path: Path) -> dict[str, float]:
    """Median minutes of each kind of task, over all backlogs of the repository."""
    known: dict[str, list[float]] = {}
    for record in _records(path):
        if record.minutes is not None:
            known.setdefault(record.kind, []).append(record.minutes)
    return {kind: statistics.median(minutes) for kind, minutes in known.items()}


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
