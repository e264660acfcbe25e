"""Whether somebody else has written to the database, at the price of a few stat calls.

Marks are what only writes change: the root of a Dolt database, the JSONL that 0.4x flushes behind each write. A 0.4x
bd that only reads changes the database file too, so another's read costs us a needless one; never the other way round.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from maestro.model.record import Record
from maestro.trackers.beads.place import JSONL, is_served

Facts = tuple[tuple[str, ...], ...]


class Fingerprint(Record):
    """The files of a database at a moment."""

    marks: Facts
    files: Facts


def fingerprint(folder: Path) -> Fingerprint | None:
    """The files as they are; None where they tell nothing, because the data is behind a server."""
    if is_served(folder):
        return None
    manifests = sorted(folder.glob("embeddeddolt/*/.dolt/noms/manifest"))
    if manifests:
        journals = sorted(folder.glob("embeddeddolt/*/.dolt/noms/vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"))
        return Fingerprint(
            marks=(*((_content(path),) for path in manifests), *((str(_size(path)),) for path in journals)), files=()
        )
    databases = sorted(folder.glob("*.db"))
    logs = [path.with_name(path.name + "-wal") for path in databases]
    return Fingerprint(
        marks=tuple(_stat(folder / name) for name in JSONL),
        files=tuple(_stat(path) for path in (*databases, *logs)),
    )


def _content(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return -1


def _stat(path: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        facts = path.stat()
        return (path.name, str(facts.st_ino), str(facts.st_size), str(facts.st_mtime_ns))
    return (path.name,)
