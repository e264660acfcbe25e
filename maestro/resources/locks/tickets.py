"""Tickets: named pipes that a process holds open for writing, with a record of whose each is.

The kernel tells who looks at such a pipe that its last writer has gone, whatever the reason, at once: nobody polls, and
a ticket's age says nothing. The ticket belongs to all processes that have inherited its descriptor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from maestro.errors import StateError
from maestro.proc.family import ProcessId


def make_ticket(path: Path, record: dict[str, Any]) -> int:
    """Make the ticket, or take over a dead one; the descriptor that keeps it alive, which children do not inherit.

    Nobody ever meets a ticket that was not alive yet, or is without its record. OSError where the disk refuses.
    """
    write_record(path, record)
    new = _new_name(path)
    os.mkfifo(new)
    try:
        fd = os.open(new, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        os.unlink(new)  # noqa: PTH108 - as short as the rest
        raise
    os.rename(new, path)  # noqa: PTH104
    return fd


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Replace the record of the ticket; a reader meets the old or the new one."""
    new = _new_name(path)
    new.write_text(json.dumps(record), encoding="utf-8")
    os.rename(new, _record_of(path))  # noqa: PTH104


def read_record(path: Path) -> dict[str, Any]:
    """The record of the ticket; empty where there is none, or a power cut left half of it."""
    try:
        found = json.loads(_record_of(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_keepers(path: Path, keepers: Sequence[ProcessId]) -> None:
    """Which processes keep the ticket alive. Beside the record, since to replace a file costs some file systems
    milliseconds."""
    _keepers_of(path).write_text("".join(f"{one.pid} {one.started}\n" for one in keepers))


def read_keepers(path: Path) -> list[ProcessId]:
    """Those that `write_keepers` named."""
    try:
        lines = [line.split() for line in _keepers_of(path).read_text().splitlines()]
        return [ProcessId(int(pid), float(started)) for pid, started in lines]
    except (OSError, ValueError):
        return []


def remove_ticket(path: Path) -> None:
    """Take it away; fine where it is gone."""
    for one in (path, _record_of(path), _keepers_of(path)):
        with suppress(FileNotFoundError):
            os.unlink(one)  # noqa: PTH108


def give_up_ticket(path: Path, fd: int) -> None:
    """Take away the ticket that `fd` keeps alive, unless somebody else has it by now, and wake who looks at it, also
    where others have not closed their descriptors yet."""
    with suppress(OSError):
        if path.stat().st_ino == os.fstat(fd).st_ino:
            remove_ticket(path)
    with suppress(OSError):
        os.write(fd, b".")


def look_at(path: Path) -> int | None:
    """A descriptor that shows a hang-up when the ticket dies; to be closed. None where there is no such ticket."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path} cannot be read: {error.strerror}", hint="a lock is shared by processes of one user"
        ) from error


def is_alive(fd: int) -> bool:
    """Whether anybody holds the ticket that `look_at` gave."""
    try:
        return os.read(fd, 1) != b""
    except BlockingIOError:  # nothing to read, but somebody who could write
        return True


def numbers(folder: Path) -> list[int]:
    """The tickets in a folder, in their order."""
    try:
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit())  # noqa: PTH208 - no paths are wanted
    except FileNotFoundError:
        return []


def _record_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _keepers_of(path: Path) -> Path:
    return path.with_suffix(".keepers")


def _new_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
