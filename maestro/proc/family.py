"""All processes of an attempt, found by the marker in their environment (A-4). Linux only: reads /proc.

A process keeps the environment it was started with whatever it does later: leaving the process group or the
session, forking twice, being reparented. One that overwrites its own environment block (`setproctitle` does)
cannot be found this way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from maestro.proc.marker import MARKER

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CHUNK = 65536
_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_KERNEL_THREADS: set[int] = set()
"""Pids seen as kernel threads, which have no environment; they need not be asked again why."""
_EXEC_TRIES = 100


class ProcessId(NamedTuple):
    """A pid and its kernel start time (seconds since boot): one process for ever, though pids are used again."""

    pid: int
    started: float


def identify(pid: int) -> ProcessId | None:
    """The live process with this pid; None when there is none or only a zombie is left of it."""
    found = _stat(pid)
    return None if found is None or found[0] in b"ZX" else ProcessId(pid, found[1])


def start_time(pid: int) -> float | None:
    """Kernel start time in seconds since boot (field 22 of /proc/PID/stat), zombies included."""
    found = _stat(pid)
    return None if found is None else found[1]


def members(marker_value: str, variable: str = MARKER) -> list[ProcessId]:
    """Live processes, ourselves left out, whose environment holds MAESTRO_ATTEMPT=`marker_value` exactly, or another
    `variable` with that value."""
    needle = _needle(marker_value, variable)
    return [one for pid, environ in _environments() if _holds(environ, needle) and (one := identify(pid))]


def carries(pid: int, marker_value: str, variable: str = MARKER) -> bool:
    """Whether the process that has this pid now carries the marker."""
    return _holds(_environment(pid), _needle(marker_value, variable))


def variable_of(pid: int, name: str) -> str | None:
    """A variable of the environment that the process was started with; None where it has none or cannot be asked."""
    start = os.fsencode(f"{name}=")
    found = (one[len(start) :] for one in _environment(pid).split(b"\0") if one.startswith(start))
    return next(map(os.fsdecode, found), None)


def census() -> dict[str, list[ProcessId]]:
    """Live processes of every attempt on the machine, by marker value, in one pass over /proc."""
    start = f"{MARKER}=".encode()
    found: dict[str, list[ProcessId]] = {}
    for pid, environ in _environments():
        if start not in environ:
            continue
        for variable in environ.split(b"\0"):
            if variable.startswith(start) and (one := identify(pid)):
                found.setdefault(os.fsdecode(variable[len(start) :]), []).append(one)
                break
    return found


def resident_bytes(processes: Iterable[ProcessId]) -> int:
    """Sum of the resident memory of those that still live; pages they share are counted once for each."""
    total = 0
    for one in processes:
        fields = read_proc(f"/proc/{one.pid}/statm").split()
        if len(fields) > 1:
            total += int(fields[1]) * _PAGE_BYTES
    return total


def command_line(pid: int) -> bytes:
    """Arguments of the process, each ended by a NUL; empty when it is gone."""
    return read_proc(f"/proc/{pid}/cmdline")


def _needle(marker_value: str, variable: str) -> bytes:
    if not marker_value:
        raise ValueError("an empty marker would name every process that has the variable empty")
    return os.fsencode(f"{variable}={marker_value}\0")


def _holds(environ: bytes, needle: bytes) -> bool:
    return needle in environ and (environ.startswith(needle) or b"\0" + needle in environ)


def _environments() -> Iterator[tuple[int, bytes]]:
    own = os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - Path.iterdir costs four times as much
        if name[0].isdigit() and int(name) != own and (environ := _environment(int(name))):
            yield int(name), environ


def _environment(pid: int) -> bytes:
    """The environment block. During `exec` the kernel shows none for a moment, which is waited out."""
    for _ in range(_EXEC_TRIES):
        try:
            fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # gone, or somebody else's
            return b""
        environ = _drain(fd)
        if environ or pid in _KERNEL_THREADS or not _has_environment(pid):
            return environ
    return b""


def _has_environment(pid: int) -> bool:
    """Why an environment was read as empty: False when there is none, True when it is worth another try."""
    fields = stat_fields(pid)
    if len(fields) < 49 or fields[0] in b"ZX":
        return False
    if int(fields[6]) & _PF_KTHREAD:
        _KERNEL_THREADS.add(pid)
        return False
    env_start, env_end = fields[47], fields[48]
    if env_end == b"0":  # in the middle of exec
        time.sleep(0.001)
        return True
    return env_start != env_end  # an exec has ended since


def _stat(pid: int) -> tuple[bytes, float] | None:
    fields = stat_fields(pid)
    return (fields[0], int(fields[19]) / _TICKS_PER_SECOND) if len(fields) > 19 else None


def stat_fields(pid: int) -> list[bytes]:
    """/proc/PID/stat from its third field on; the second, in parentheses, may itself hold parentheses and blanks."""
    return read_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def read_proc(path: str) -> bytes:
    """Content of a file in /proc; empty when the process is gone or belongs to somebody else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    return _drain(fd)


def _drain(fd: int) -> bytes:
    try:
        data = chunk = os.read(fd, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(fd, _CHUNK)
            data += chunk
        return data
    except OSError:
        return b""
    finally:
        os.close(fd)
