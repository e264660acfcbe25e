"""How the processes of all attempts are: memory, processor time, state; one pass over /proc for all. Linux only.

A look reads one small file for each process with a marker. Who has none is remembered, and read again once a minute:
a pid may be used again, and a process may come to a marker by `exec`. 150 processes of 50 attempts beside 80 others:
about 2 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from maestro.proc.family import ProcessId, stat_fields, variable_of
from maestro.proc.request import MARKER

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_STRANGER_SECONDS = 60.0
"""How long one is believed to be no process of ours."""

_GROWN_UP_SECONDS = 5.0
"""A younger process may have forked just now, and still carry the environment of the one that starts it, which may be
a coordinator inside of an attempt."""


class Vital(NamedTuple):
    """One live process."""

    id: ProcessId
    parent: int
    state: str  # R, S, D, T …: as ps shows it
    ticks: int  # processor time, that of its children which have ended included
    resident: int  # bytes


class Survey:
    """Looks at the processes of all attempts on the machine; blocks, and is called by one thread at a time."""

    def __init__(self, now: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) -> None:
        self._now = now
        self._markers: dict[int, tuple[float, str]] = {}  # pid → start time, marker
        self._strangers: dict[int, float] = {}  # pid → until when it is believed to be one

    def look(self) -> dict[str, list[Vital]]:
        """The live processes of each attempt, by its marker; zombies and ourselves left out."""
        now, own = self._now(), os.getpid()
        pids = {int(name) for name in os.listdir("/proc") if name[0].isdigit()}  # noqa: PTH208 - a quarter of the cost
        for pid in self._markers.keys() - pids:
            del self._markers[pid]
        for pid in self._strangers.keys() - pids:
            del self._strangers[pid]
        found: dict[str, list[Vital]] = {}
        for pid in pids:
            if pid == own or self._strangers.get(pid, 0.0) > now:
                continue
            vital = read_vital(pid)
            if vital is None:
                continue
            if (marker := self._marker_of(vital, now)) is not None:
                found.setdefault(marker, []).append(vital)
        return found

    def _marker_of(self, vital: Vital, now: float) -> str | None:
        pid, started = vital.id
        known = self._markers.get(pid)
        if known is not None and known[0] == started:
            return known[1]
        marker = variable_of(pid, MARKER)
        if now - started <= _GROWN_UP_SECONDS:
            return marker or None
        if marker:
            self._markers[pid] = (started, marker)
            return marker
        self._strangers[pid] = now + _STRANGER_SECONDS
        return None


def read_vital(pid: int) -> Vital | None:
    """None where there is no such process, or only a zombie is left of it."""
    fields = stat_fields(pid)
    if len(fields) < 22 or fields[0] in b"ZX":
        return None
    return Vital(
        id=ProcessId(pid, int(fields[19]) / TICKS_PER_SECOND),
        parent=int(fields[1]),
        state=fields[0].decode(),
        ticks=sum(map(int, fields[11:15])),
        resident=int(fields[21]) * _PAGE_BYTES,
    )


def is_childless(process: ProcessId) -> bool:
    """Whether this live shell, which waits for a child and does nothing else, has none that lives, whatever environment
    that has. False wherever it cannot be known for certain: /proc may hide processes of other users (`hidepid`), as
    those behind `sudo` are."""
    fields = stat_fields(process.pid)
    if len(fields) < 20 or fields[0] in b"ZX" or int(fields[19]) / TICKS_PER_SECOND != process.started:
        return False
    children = _children(process.pid)
    if children is not None:
        return not any(map(_lives, children))
    # a shell that can run and has no child waits for nothing, and ends
    return fields[0] in b"TtD" and not _is_seen_as_parent(process.pid)


def _children(pid: int) -> list[int] | None:
    """As the kernel has them, those that /proc hides included; None where this kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return None


def _lives(pid: int) -> bool:
    if fields := stat_fields(pid):
        return fields[0] not in b"ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _is_seen_as_parent(pid: int) -> bool:
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name[0].isdigit():
            fields = stat_fields(int(name))
            if len(fields) > 1 and fields[0] not in b"ZX" and int(fields[1]) == pid:
                return True
    return False


def proportional_bytes(vitals: Iterable[Vital]) -> int:
    """Memory of the processes, pages that several share counted once; who must not be asked counts in full.

    Some 3 ms for each process of 300 MB, since the kernel walks all its pages: not for every look.
    """
    return sum(_proportional(vital) for vital in vitals)


def is_connected(vitals: Iterable[Vital]) -> bool:
    """Whether one of them holds an established connection over TCP."""
    for vital in vitals:
        folder = f"/proc/{vital.id.pid}"
        sockets = {link for link in _links(f"{folder}/fd") if link.startswith("socket:[")}
        if sockets and any(f"socket:[{inode}]" in sockets for inode in _established(f"{folder}/net")):
            return True
    return False


def _proportional(vital: Vital) -> int:
    try:
        with open(f"/proc/{vital.id.pid}/smaps_rollup", "rb") as file:
            found = next((line for line in file if line.startswith(b"Pss:")), None)
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was looked at
        return 0
    except OSError:  # somebody else's, as after sudo
        return vital.resident
    return vital.resident if found is None else int(found.split()[1]) << 10


def _links(folder: str) -> list[str]:
    links = []
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208
            with suppress(OSError):  # closed meanwhile
                links.append(os.readlink(f"{folder}/{name}"))  # noqa: PTH115
    return links


def _established(folder: str) -> set[str]:
    """Inodes of the established connections in a process's network namespace."""
    rows: list[list[str]] = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError), open(f"{folder}/{name}") as file:
            rows += (line.split() for line in file)
    return {row[9] for row in rows if len(row) > 9 and row[3] == "01"}
