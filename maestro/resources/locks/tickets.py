"""Tickets: named pipes that a process holds open for writing, with a record of whose each is.

The kernel tells who looks at such a pipe that its last writer has gone, whatever the reason, at once: nobody polls, and
a ticket's age says nothing. The ticket belongs to all processes that have inherited its descriptor.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from maestro.errors import StateError
from maestro.proc.family import ProcessId, identify
from maestro.resources.locks.records import checked

_MOST_BYTES = 1_000_000


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
    try:
        new.write_text(json.dumps(record), encoding="utf-8")
        os.rename(new, _record_of(path))  # noqa: PTH104
    except OSError:  # the disk is full: what was begun must not stay
        with suppress(OSError):
            os.unlink(new)  # noqa: PTH108
        raise


def read_record(path: Path) -> dict[str, Any]:
    """The record of the ticket; empty where there is none, a power cut left half of it, or it is none of ours."""
    try:
        fd = os.open(_record_of(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = json.loads(os.read(fd, _MOST_BYTES))
        finally:
            os.close(fd)
    except (OSError, ValueError, RecursionError):
        return {}
    return checked(found)


def write_keepers(path: Path, keepers: Sequence[ProcessId]) -> None:
    """Which processes keep the ticket alive. Beside the record, since to replace a file costs some file systems
    milliseconds."""
    # no link is followed: agents can write here, also those that can write to little else
    fd = os.open(_keepers_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, "".join(f"{one.pid} {one.started}\n" for one in keepers).encode())
    finally:
        os.close(fd)


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
    """Whether anybody holds the ticket that `look_at` gave. What is no pipe nobody can hold."""
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        return False
    try:
        return os.read(fd, 1) != b""
    except BlockingIOError:  # nothing to read, but somebody who could write
        return True


def keeps(one: ProcessId, fd: int) -> bool:
    """Whether that process holds open for writing the ticket that `look_at` gave: what a file says of a process is
    not enough to end it."""
    ticket, folder = os.fstat(fd), f"/proc/{one.pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return False
    return any(_is_writer(f"{folder}/{name}", ticket) for name in names) and identify(one.pid) == one


def numbers(folder: Path) -> list[int]:
    """The tickets in a folder, in their order."""
    try:
        return sorted(int(name) for name in os.listdir(folder) if name.isascii() and name.isdigit())  # noqa: PTH208 - no paths are wanted
    except FileNotFoundError:
        return []


def _is_writer(opened: str, ticket: os.stat_result) -> bool:
    try:  # a descriptor that cannot be written to is that of somebody who looks
        return os.path.samestat(os.stat(opened), ticket) and bool(os.lstat(opened).st_mode & stat.S_IWUSR)  # noqa: PTH116
    except OSError:
        return False


def _record_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _keepers_of(path: Path) -> Path:
    return path.with_suffix(".keepers")


def _new_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
