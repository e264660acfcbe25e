"""What the machine has now: load, memory, disk, files (E-4). Linux only: reads /proc and /sys/fs/cgroup."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from maestro.resources.throttle import Reading

FRESH_SECONDS = 1.0
"""A reading is good for so long: many starts at once cost one. The disk is asked each time, for it costs nothing."""

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 of control groups says "no limit" by a number near 2^63


class MachineNow:
    """Reads the machine; a call within a second of the last one gets its answer again, with the disk as it is now."""

    def __init__(self, folders: Iterable[Path], monotonic: Callable[[], float] = time.monotonic) -> None:
        """`folders`: those whose disks matter; they need not exist yet."""
        self._folders = tuple(folders)
        self._monotonic = monotonic
        self._at = float("-inf")
        self._last = Reading()
        self._groups = tuple(_groups_around())

    def __call__(self) -> Reading:
        """The machine now."""
        now = self._monotonic()
        if now - self._at >= FRESH_SECONDS:
            self._at = now
            self._last = self._read()
        folder, free = self._disk()
        return self._last.model_copy(update={"free_disk": free, "disk": folder})

    def _read(self) -> Reading:
        waited = [share for kind in ("cpu", "io") if (share := _pressure(kind, "some")) is not None]
        return Reading(
            load_per_core=_load_per_core(),
            waiting_percent=max(waited, default=None),
            free_memory=self._memory(),
            stalled_percent=_pressure("memory", "full"),
            free_files=_free_files(),
        )

    def _memory(self) -> int | None:
        """Of the machine, or of the control group that leaves least."""
        left = [free for group in self._groups if (free := group()) is not None]
        if (free := _available()) is not None:
            left.append(free)
        return min(left, default=None)

    def _disk(self) -> tuple[str, int | None]:
        """The folder whose disk has least, and how much that is."""
        least: tuple[int, str] | None = None
        for folder in self._folders:
            with suppress(OSError):
                free = shutil.disk_usage(_existing(folder)).free
                least = min(least or (free, str(folder)), (free, str(folder)))
        return ("", None) if least is None else (least[1], least[0])


def _load_per_core() -> float | None:
    """The load of one minute is the whole machine's, so its cores are too, whatever this process may use of them."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return None


def _pressure(kind: str, who: str) -> float | None:
    """Percent of the last ten seconds in which some (or all: `full`) processes stood still for want of it."""
    try:
        lines = (_PROC / "pressure" / kind).read_text().splitlines()
        fields = next(line for line in lines if line.startswith(who)).split()
        return float(fields[1].removeprefix("avg10="))
    except (OSError, StopIteration, IndexError, ValueError):  # no pressure stall information in this kernel
        return None


def _available() -> int | None:
    """What can be had without swapping, by the kernel's own estimate."""
    with suppress(OSError, ValueError, IndexError):
        for line in (_PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return None


def _free_files() -> int | None:
    """How many files this process may still open; of the whole machine where that is less."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left: list[int] = []
    with suppress(OSError):
        if soft != resource.RLIM_INFINITY:
            left.append(soft - len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - only their number is wanted
    with suppress(OSError, ValueError):
        used, _, most = (_PROC / "sys/fs/file-nr").read_text().split()
        left.append(int(most) - int(used))
    return min(left, default=None)


class _Files(NamedTuple):
    """How a version of control groups names what it tells of memory."""

    limits: tuple[str, ...]
    used: str
    reclaimable: tuple[str, ...]  # in memory.stat


_V1 = _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_V2 = _Files(
    ("memory.max", "memory.high"),  # above the second one everything in the group is slowed down to a crawl
    "memory.current",
    ("inactive_file", "active_file", "slab_reclaimable"),
)


def _groups_around() -> Iterator[Callable[[], int | None]]:
    """One question for each control group around this process that tells of memory, as a container's does."""
    with suppress(OSError, ValueError):
        for line in (_PROC / "self/cgroup").read_text().splitlines():
            number, names, path = line.split(":", 2)
            if number == "0":
                yield from _groups_above(_GROUPS, path, _V2)
            elif "memory" in names.split(","):
                yield from _groups_above(_GROUPS / "memory", path, _V1)


def _groups_above(top: Path, path: str, files: _Files) -> Iterator[Callable[[], int | None]]:
    group = top / path.strip("/")
    while group.is_relative_to(top):
        if (group / files.limits[0]).exists():  # from inside a container, not all of them can be seen
            yield partial(_left_in, group, files)
        group = group.parent


def _left_in(group: Path, files: _Files) -> int | None:
    """What the group leaves; None without a limit, which may come and go while we run. Pages of files can be had back,
    so they count as free, as they do in the kernel's own estimate for the machine: else what was once read, or built,
    would stand in the way for ever."""
    most = min((limit for name in files.limits if (limit := _limit(group / name)) is not None), default=None)
    if most is None:
        return None
    try:
        taken = int((group / files.used).read_text())
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return min(max(most - taken + sum(int(facts.get(name, 0)) for name in files.reclaimable), 0), most)


def _limit(file: Path) -> int | None:
    try:
        most = int(file.read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return most if most < _UNLIMITED else None


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
