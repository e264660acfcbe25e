"""Whether the machine bears one more attempt: a pure decision from what it has to a reason against it (E-4, W-6)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from maestro.model.record import Record

EASE = 1.2
"""A reason that stands goes only once there is this much more than the limit asks for: answers shall not flap."""

BUSY_PERCENT = 50.0
"""Where something waits for a processor or a disk less than this much of the time, a load is the memory of one that is
over by now: the average lags a minute behind."""

STALLED_PERCENT = 30.0
"""All processes standing still for memory this much of the time: the machine thrashes, whatever it calls free."""


class Reading(Record):
    """What the machine has at one moment; bytes. None: it cannot be known here."""

    load_per_core: float | None = None  # average of the last minute
    waiting_percent: float | None = None  # of the last ten seconds, something waited for a processor or a disk
    free_memory: int | None = None
    stalled_percent: float | None = None  # of the last ten seconds, everything waited for memory
    free_disk: int | None = None
    disk: str = ""  # the folder that is on that disk
    free_files: int | None = None  # that may still be opened


class Limits(Record):
    """What must be left before one more attempt starts; 0: not looked at. Bytes."""

    max_load: float = 0.0  # per core
    min_free_memory: int = 0
    min_free_disk: int = 0
    min_free_files: int = 0


class Scarce(StrEnum):
    """What there is too little of."""

    DISK = "disk"
    MEMORY = "memory"
    FILES = "files"
    LOAD = "load"


class Shortage(Record):
    """Why nothing more is started now."""

    kind: Scarce
    reason: str  # a clause for people


def shortage(reading: Reading, limits: Limits, standing: Scarce | None = None) -> Shortage | None:
    """Why no attempt may start now; None where the machine bears one more.

    `standing`: what was short at the last look. It stays the reason until there is clearly enough of it again, unless
    the disk is full, with which no waiting helps.
    """
    found = {short.kind: short for short in _shortages(reading, limits, standing)}
    if standing in found and Scarce.DISK not in found:
        return found[standing]
    return next(iter(found.values()), None)


def _shortages(reading: Reading, limits: Limits, standing: Scarce | None) -> Iterator[Shortage]:
    """The worst first: without disk nothing goes on, a load only takes time."""
    floor = _floor(limits.min_free_disk, standing is Scarce.DISK)
    if reading.free_disk is not None and reading.free_disk < floor:
        free, least = reading.free_disk >> 20, limits.min_free_disk >> 20
        said = f"only {free} MiB are free on the disk of {reading.disk}, the floor is {least} MiB"
        yield Shortage(kind=Scarce.DISK, reason=said)
    if limits.min_free_memory > 0 and (why := _memory(reading, limits, standing is Scarce.MEMORY)) is not None:
        yield Shortage(kind=Scarce.MEMORY, reason=why)
    floor = _floor(limits.min_free_files, standing is Scarce.FILES)
    if reading.free_files is not None and reading.free_files < floor:
        said = f"only {max(reading.free_files, 0)} more files may be opened, the floor is {limits.min_free_files}"
        yield Shortage(kind=Scarce.FILES, reason=said)
    if limits.max_load > 0 and (why := _load(reading, limits.max_load, standing is Scarce.LOAD)) is not None:
        yield Shortage(kind=Scarce.LOAD, reason=why)


def _floor(least: int, stands: bool) -> float:
    return least * EASE if stands else least


def _memory(reading: Reading, limits: Limits, stands: bool) -> str | None:
    if reading.free_memory is not None and reading.free_memory < _floor(limits.min_free_memory, stands):
        return (
            f"only {reading.free_memory >> 20} MiB of memory are free, the floor is {limits.min_free_memory >> 20} MiB"
        )
    most = STALLED_PERCENT / EASE if stands else STALLED_PERCENT
    if reading.stalled_percent is not None and reading.stalled_percent > most:
        return f"everything stood still for want of memory in {reading.stalled_percent:.0f} % of the last ten seconds"
    return None


def _load(reading: Reading, most: float, stands: bool) -> str | None:
    load, waiting = reading.load_per_core, reading.waiting_percent
    if load is None or load <= (most / EASE if stands else most):
        return None
    # who sets a limit below 1 wants an idle machine, on which nothing has to wait
    if most >= 1 and waiting is not None and waiting < (BUSY_PERCENT / EASE if stands else BUSY_PERCENT):
        return None
    return f"the load is {load:.1f} per core, the limit is {most:g}"
