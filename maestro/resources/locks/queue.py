"""The queue of one resource: first come, first served, and nobody polls.

    <folder>/<name>/
        tail        number of the newest ticket; locked while one is added
        token       the newest fencing token
        queue/N     ticket of who waits; its record names the ticket before it
        holders/N   ticket of who has a slot

A waiter looks at one pipe only: that of the ticket before its own. When that one dies, the waiter takes its place in
the chain; when it is gone, it was given a slot, and the waiter is the head of the queue. The head alone gives out
slots, to itself: it looks at the holders' pipes until one of them hangs up. So a hand-over costs the same with 2
waiters and with 1,000; a newcomer cannot overtake, since only the head looks at the slots; and no process ever has to
do anything for another one to go on.

Rejected: a lock file that all try (no order, and a poll); a server (nothing may have to be started, or die); ages
(wrong both ways); `flock` without a queue (no order is promised, and a limit to waiting needs a poll or a thread).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from maestro.clock import as_z
from maestro.errors import BadInput, Busy, StateError
from maestro.model.ids import is_plain
from maestro.proc.family import ProcessId, start_time
from maestro.resources.locks.base import TOKEN, Family, Resource, Who, marks
from maestro.resources.locks.records import MARK
from maestro.resources.locks.slots import Slot, find_slots
from maestro.resources.locks.tickets import (
    give_up_ticket,
    is_alive,
    look_at,
    make_ticket,
    numbers,
    read_record,
    remove_ticket,
    write_keepers,
    write_record,
)


class Pending(NamedTuple):
    """What to wait for before the next `advance`: a hang-up or input on one of the descriptors, or the time."""

    fds: tuple[int, ...]
    until: float | None  # on the monotonic clock


class Held:
    """A slot that is ours until `release` or our death."""

    def __init__(self, path: Path, fd: int, record: dict[str, Any], resource: Resource, waited_seconds: float) -> None:
        self.path = path
        self.fd = fd  # whoever inherits it holds the slot too
        self.resource = resource
        self.token = int(record["token"])
        self.waited_seconds = waited_seconds
        self._record = record

    @property
    def family(self) -> Family:
        """By which the processes that work under the lock are found."""
        variable, value = self._record["family"]
        return Family(variable, value)

    @property
    def variables(self) -> dict[str, str]:
        """For the environment of what works under the lock: its fencing token, and the mark by which a lock taken
        again below itself is refused instead of waiting for itself."""
        return {TOKEN: str(self.token), str(self._record["mark"]): str(self.path.parent.parent)}

    def name_keepers(self, pids: tuple[int, ...]) -> None:
        """Say which processes keep the slot: those that are ended when it is over its limit and they do nothing. Where
        the disk is full that is not known; it is no reason to do nothing under the lock."""
        with suppress(OSError):
            write_keepers(self.path, [ProcessId(pid, start_time(pid) or 0.0) for pid in pids])

    def release(self) -> None:
        """Give it back: who is next goes on at once. Quick; may be called again, and by any thread."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            give_up_ticket(self.path, fd)
            os.close(fd)


def take_again(folder: Path, resource: Resource, who: Who) -> Held | None:
    """The slot that was taken for the same family, which has outlived the process that took it; None without one."""
    family = who.family and [who.family.variable, who.family.value]
    holders = home_of(folder, resource.name) / "holders"
    for number in numbers(holders) if family and who.outlives else ():
        path = holders / str(number)
        record, fd = read_record(path), look_at(path)
        if fd is None:
            continue
        alive = is_alive(fd)
        os.close(fd)
        if not alive and record.get("family") == family and "token" in record:
            record = {**record, "pid": os.getpid()}
            return Held(path, make_ticket(path, record), record, resource, 0.0)
    return None


class Turn:
    """One waiter. Its methods block for a moment, and are called by one thread at a time."""

    def __init__(self, folder: Path, resource: Resource, who: Who, environ: Mapping[str, str]) -> None:
        """Take a place at the end of the queue. BadInput for a bad name, Busy where the caller works under this very
        lock (`environ` says under which it does), StateError where the folder cannot be used."""
        self._home = home_of(folder, resource.name)
        self._resource = resource
        self._since = time.monotonic()
        self._looked: list[int] = []
        mark = f"{MARK}{os.urandom(8).hex()}"
        family = who.family or Family(mark, str(self._home))
        self._record: dict[str, Any] = {
            "pid": os.getpid(),
            "task": who.task,
            "run": who.run,
            "what": who.what,
            "since": as_z(datetime.now(UTC)),
            "mark": mark,
            "family": [family.variable, family.value],
            "outlives": who.outlives,
            "limit_seconds": resource.limit_seconds,
        }
        refuse_again(folder, resource.name, environ)
        try:
            self._number, self._fd = self._join()
        except OSError as error:
            raise _unusable(resource.name, self._home, error) from error

    def advance(self) -> Held | Pending:
        """The slot where it is our turn and one is free, else what to wait for. May take seconds where what a dead
        holder left, or a holder over its limit, has to be ended first. StateError where the disk refuses."""
        self._close_looked()
        try:
            return self._advance()
        except OSError as error:
            raise _unusable(self._resource.name, self._home, error) from error

    def _advance(self) -> Held | Pending:
        while (prev := self._record["prev"]) is not None:
            ticket = self._queue / str(prev)
            fd = look_at(ticket)
            if fd is None:  # it has got its slot
                self._record["prev"] = None
            elif is_alive(fd):
                self._looked.append(fd)
                return Pending((fd,), None)
            else:
                os.close(fd)
                self._take_place_of(ticket)
        slots = find_slots(self._holders)
        if len(slots) < self._resource.slots:
            return self._hold(slots)
        return self._wait_for(slots)

    def leave(self) -> None:
        """Wait no longer. The ticket stays, dead, so that whoever stands behind it finds the one before it."""
        self._close_looked()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def _queue(self) -> Path:
        return self._home / "queue"

    @property
    def _holders(self) -> Path:
        return self._home / "holders"

    def _join(self) -> tuple[int, int]:
        self._queue.mkdir(parents=True, exist_ok=True)
        self._holders.mkdir(exist_ok=True)
        for one in (self._home, self._queue, self._holders):
            if one.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        tail = _open_number(self._home / "tail")
        try:
            fcntl.flock(tail, fcntl.LOCK_EX)  # held for less than a millisecond
            last = _number(os.read(tail, 32))
            if last is None:
                last = max((0, *numbers(self._queue), *numbers(self._holders)))
            self._record["prev"] = last or None
            # a joiner that died before it wrote `tail` has left a ticket of this number, dead: it is taken over
            fd = make_ticket(self._queue / str(last + 1), self._record)
            try:
                os.pwrite(tail, b"%d\n" % (last + 1), 0)
            except OSError:  # the disk is full
                os.close(fd)
                raise
            return last + 1, fd
        finally:
            os.close(tail)

    def _take_place_of(self, dead: Path) -> None:
        """Stand behind whom the dead one stood behind; that is on disk before the dead one's ticket goes."""
        self._record["prev"] = read_record(dead).get("prev")
        write_record(self._queue / str(self._number), self._record)
        remove_ticket(dead)

    def _hold(self, slots: list[Slot]) -> Held:
        for slot in slots:
            os.close(slot.fd)
        record = {
            **self._record,
            "token": _next_token(self._home / "token"),
            "since": as_z(datetime.now(UTC)),
            "since_monotonic": time.monotonic(),
        }
        path = self._holders / str(self._number)
        fd = make_ticket(path, record)
        remove_ticket(self._queue / str(self._number))
        self.leave()
        return Held(path, fd, record, self._resource, time.monotonic() - self._since)

    def _wait_for(self, slots: list[Slot]) -> Pending:
        self._looked += [slot.fd for slot in slots]
        limits = [slot.act_at for slot in slots if slot.act_at is not None]
        return Pending(tuple(self._looked), min(limits, default=None))

    def _close_looked(self) -> None:
        for fd in self._looked:
            os.close(fd)
        self._looked.clear()


def home_of(folder: Path, name: str) -> Path:
    """Where the state of the resource is kept; BadInput for a name that cannot be one."""
    if not is_plain(name):
        raise BadInput(
            f"{name!r} cannot name a resource", hint="use letters, digits, dots and dashes, such as tests or gpu-0"
        )
    return folder / name


def _unusable(name: str, home: Path, error: OSError) -> StateError:
    return StateError(
        f"the lock {name} cannot be used: {(error.strerror or str(error)).lower()}: {home}",
        hint="its folder must be writable and able to hold named pipes",
    )


def refuse_again(folder: Path, name: str, environ: Mapping[str, str]) -> None:
    """Busy where `environ` is of a process that works under that very lock."""
    home = home_of(folder, name)
    for mark, held in marks(environ).items():
        if _is_same(held, home) and _is_held(home / "holders", mark):
            raise Busy(
                f"this already works under the lock {name}: it would wait for itself",
                hint="run the command without `maestro lock`",
            )


def _is_same(folder: str, home: Path) -> bool:
    """Whatever links lead there."""
    try:
        return os.path.samefile(folder, home)  # noqa: PTH121 - a text and a path
    except OSError:
        return False


def _is_held(holders: Path, mark: str) -> bool:
    return any(read_record(holders / str(number)).get("mark") == mark for number in numbers(holders))


def _next_token(path: Path) -> int:
    """Larger than every one before, also where the file was lost: then the clock says how far they can have come.

    Written in place, by one process at a time: to replace a file costs some file systems milliseconds.
    """
    fd = _open_number(path)
    try:
        token = max((_number(os.read(fd, 32)) or 0) + 1, time.time_ns() // 1_000_000)
        os.pwrite(fd, b"%d\n" % token, 0)
        return token
    finally:
        os.close(fd)


def _open_number(path: Path) -> int:
    """No link is followed: agents can write here, and could have any file of the user overwritten."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _number(data: bytes) -> int | None:
    """None for an empty file, and for one that a power cut left without its end."""
    return int(data) if data.endswith(b"\n") and data[:-1].isdigit() else None
