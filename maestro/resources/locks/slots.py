"""The slots of a resource as the head of its queue finds them: who really has one, what dead holders left, and who is
over its limit. What is left over is ended here, before its slot counts as free."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from maestro.proc.ending import GENTLE, QUICK, end_family, signal_process
from maestro.proc.family import ProcessId, identify, members, stat_fields
from maestro.resources.locks.tickets import is_alive, keeps, look_at, numbers, read_keepers, read_record, remove_ticket

LATE_SECONDS = 0.5
"""After its limit, a holder is looked at: has it been stopped, so that it cannot end its command itself?"""

TOO_LATE_SECONDS = 8.0
"""After its limit, whoever waits ends what works under the lock, whatever the holder is about to do."""

_LOOK_AGAIN_SECONDS = 1.0
_GIVE_UP_SECONDS = 1.0


class Slot(NamedTuple):
    """A slot that is taken."""

    fd: int  # shows a hang-up or input when it is worth a look; to be closed
    act_at: float | None  # on the monotonic clock: when to look even without


def find_slots(holders: Path) -> list[Slot]:
    """Those that are taken. May take seconds, where something has to be ended."""
    found = []
    for number in numbers(holders):
        path = holders / str(number)
        fd = look_at(path)
        if fd is None:
            continue
        record = read_record(path)
        slot = _living(path, fd, record) if is_alive(fd) else _dead(path, fd, record)
        if slot is None:
            os.close(fd)
        else:
            found.append(slot)
    return found


def family_of(record: dict[str, Any]) -> list[ProcessId]:
    """Live processes that work under the lock, the oldest first."""
    variable, value = record.get("family") or ("", "")
    return sorted(members(value, variable), key=lambda one: one.started) if value else []


def _dead(path: Path, fd: int, record: dict[str, Any]) -> Slot | None:
    """Its family dies too, unless it is one that goes on without it: then that has the slot."""
    if record.get("outlives"):
        if (watched := _look_at_family(record)) is not None:
            os.close(fd)
            return Slot(watched, None)
    elif record.get("family"):
        variable, value = record["family"]
        end_family(value, variable, QUICK)
    _clear(path, fd)
    return None


def _look_at_family(record: dict[str, Any]) -> int | None:
    """A descriptor that shows when its oldest process has ended; None where none is left."""
    while family := family_of(record):
        for one in family:
            with suppress(ProcessLookupError):  # it ended just now; another one may go on
                watched = os.pidfd_open(one.pid)
                if identify(one.pid) == one:
                    return watched
                os.close(watched)
    return None


def _living(path: Path, fd: int, record: dict[str, Any]) -> Slot | None:
    limit, since = record.get("limit_seconds"), record.get("since_monotonic")
    if limit is None or since is None:
        return Slot(fd, None)
    now, ends = time.monotonic(), since + limit
    if now < ends + LATE_SECONDS:
        return Slot(fd, ends + LATE_SECONDS)
    keepers = read_keepers(path)
    if (now >= ends + TOO_LATE_SECONDS or _all_stopped(keepers)) and _stop(fd, record, keepers):
        _clear(path, fd)
        return None
    return Slot(fd, time.monotonic() + _LOOK_AGAIN_SECONDS)


def _stop(fd: int, record: dict[str, Any], keepers: list[ProcessId]) -> bool:
    """End what works under the lock, then the processes that keep it; whether the slot is free. A holder that is no
    `maestro lock` has no keepers, and loses a slot under which nothing works any more."""
    variable, value = record["family"]
    if not end_family(value, variable, GENTLE):
        return False
    for number in (signal.SIGCONT, signal.SIGKILL):
        for one in keepers:
            if keeps(one, fd):
                signal_process(one, number)
        if _is_given_up(fd, _GIVE_UP_SECONDS):
            return True
    return not keepers


def _all_stopped(keepers: list[ProcessId]) -> bool:
    states = [fields[0] for one in keepers if (fields := stat_fields(one.pid)) and fields[0] not in b"ZX"]
    return bool(states) and all(state in b"Tt" for state in states)


def _is_given_up(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _clear(path: Path, fd: int) -> None:
    """Remove the dead ticket, unless somebody has taken it over since."""
    with suppress(OSError):
        if path.stat().st_ino == os.fstat(fd).st_ino:
            remove_ticket(path)
