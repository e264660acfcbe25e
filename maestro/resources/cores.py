"""How many cores this process may use: those it is bound to, and what control groups around it leave (E-4). Linux."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def usable_cores(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """At least one. A container is given a share of the time (`docker run --cpus`), and sees all cores all the same."""
    return max(min([len(os.sched_getaffinity(0)), *map(math.ceil, _quotas(proc, groups))]), 1)


def _quotas(proc: Path, groups: Path) -> Iterator[float]:
    """The cores that each limited group may keep busy."""
    with suppress(OSError, ValueError):
        for line in (proc / "self/cgroup").read_text().splitlines():
            number, names, path = line.split(":", 2)
            top = groups if number == "0" else groups / "cpu"
            if number != "0" and "cpu" not in names.split(","):
                continue
            group = top / path.strip("/")
            while group.is_relative_to(top):
                with suppress(OSError, ValueError, ZeroDivisionError):
                    quota, period = _quota(group)
                    if quota > 0:
                        yield quota / period
                group = group.parent


def _quota(group: Path) -> tuple[int, int]:
    """Microseconds of processor time in a period; no number, or a negative one, where there is no limit."""
    file = group / "cpu.max"
    if file.exists():
        quota, period = file.read_text().split()
        return int(quota), int(period)
    return int((group / "cpu.cfs_quota_us").read_text()), int((group / "cpu.cfs_period_us").read_text())
