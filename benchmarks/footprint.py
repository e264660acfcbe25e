"""What a running process uses, read from /proc: for the benchmarks that watch a coordinator from outside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MIB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """One look at a process. CPU and wake-ups have been counted since its start; its children's CPU is only that of
    those that have ended and were waited for."""

    cpu_seconds: float
    children_cpu_seconds: float
    wakeups: int
    rss_mib: float
    pss_mib: float  # memory shared with other processes counted in part: what ending it would give back
    open_files: int
    threads: int


def look_at(pid: int | str = "self") -> Footprint:
    """FileNotFoundError or ProcessLookupError where the process has gone."""
    process = Path(f"/proc/{pid}")
    times = process.joinpath("stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = (int(times[place]) / _TICKS_PER_SECOND for place in range(11, 15))
    memory = _kibibytes(process / "smaps_rollup")
    threads = list(process.joinpath("task").iterdir())
    return Footprint(
        cpu_seconds=user + system,
        children_cpu_seconds=children_user + children_system,
        wakeups=sum(_wakeups(thread) for thread in threads),
        rss_mib=memory["Rss"] * 1024 / _MIB,
        pss_mib=memory["Pss"] * 1024 / _MIB,
        open_files=len(list(process.joinpath("fd").iterdir())),
        threads=len(threads),
    )


def _kibibytes(file: Path) -> dict[str, int]:
    """Lines like `Rss:   1234 kB`; the first line is an address range."""
    lines = [line.split() for line in file.read_text().splitlines()[1:]]
    return {line[0].rstrip(":"): int(line[1]) for line in lines}


def _wakeups(thread: Path) -> int:
    """How often a thread has gone to sleep by itself; 0 for one that has just ended."""
    try:
        lines = thread.joinpath("status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def children_of(pid: int) -> list[int]:
    """Its direct children, by all of its threads."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, thread.joinpath("children").read_text().split())
    return found
