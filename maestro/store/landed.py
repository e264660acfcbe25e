"""Which task landed in which run, as which commit, on which branch: one line each, for later runs (P-4)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from maestro.errors import StateError
from maestro.model.record import Record


class LandedRecord(Record):
    """One landing. `backlog` is the tracker's identity: equal ids of other backlogs are other tasks."""

    backlog: str
    task: str
    run_id: str
    branch: str
    commit: str


def append(path: Path, record: LandedRecord) -> None:
    """Add a landing. One write at the end of the file, so that several runs may do it at once, and not synced: the
    journals are the truth, this list only saves reading all of them. StateError names the path."""
    line = json.dumps(record.model_dump(), ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path, backlog: str) -> dict[str, LandedRecord]:
    """The last landing of each task of a backlog; torn lines are passed over."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    found: dict[str, LandedRecord] = {}
    for line in lines:
        try:
            record = LandedRecord.model_validate_json(line)
        except ValueError:
            continue
        if record.backlog == backlog:
            found[record.task] = record
    return found
