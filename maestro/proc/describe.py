"""What the kernel tells of a process, for words about it: program, start, owner, ancestors, open files. Linux only.

Nothing here is reason enough to signal a process: see family.py for whose it is.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from maestro.proc.family import ProcessId, command_line, identify

_DELETED = " (deleted)"


def program(pid: int) -> str:
    """The name of what it runs, `?` where it is gone."""
    first = command_line(pid).split(b"\0")[0]
    name = os.path.basename(os.fsdecode(first))  # noqa: PTH119 - it need not be a path
    return name or _line(f"/proc/{pid}/comm") or "?"


def started_at(process: ProcessId) -> datetime:
    """When it started, aware, UTC, to a hundredth of a second as the clock stands now."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return datetime.fromtimestamp(booted + process.started, UTC)


def owner(pid: int) -> str | None:
    """Name of the user that it belongs to where that is not ours; None where it is, or it is gone."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - no path of anybody's
    except OSError:
        return None
    if uid == os.geteuid():
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def can_be_read(pid: int) -> bool:
    """Whether its environment may be looked into, so that its mark could be seen."""
    return _opens(f"/proc/{pid}/environ")


def ancestors(pid: int) -> Iterator[int]:
    """Its parent, the parent of that, and so on."""
    seen: set[int] = set()
    while (found := _parent(pid)) is not None and found not in seen:
        seen.add(found)
        yield found
        pid = found


def writers_of(paths: Collection[str]) -> dict[str, ProcessId]:
    """path → a live process, not this one, that has it open for writing, also where it was removed since."""
    found: dict[str, ProcessId] = {}
    own = os.getpid()
    for pid in _pids() if paths else ():
        if pid == own:
            continue
        for number in _names(f"/proc/{pid}/fd"):
            path = _link(f"/proc/{pid}/fd/{number}").removesuffix(_DELETED)
            if path in paths and _is_writing(pid, number) and (one := identify(pid)):
                found.setdefault(path, one)
    return found


def _pids() -> Iterator[int]:
    return (int(name) for name in _names("/proc") if name.isdigit())


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - called for each process of the machine
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - the text of the link is wanted
    except OSError:
        return ""


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read()).strip()
    except OSError:
        return ""


def _is_writing(pid: int, number: str) -> bool:
    for line in _line(f"/proc/{pid}/fdinfo/{number}").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _parent(pid: int) -> int | None:
    fields = _line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 and int(fields[1]) > 0 else None
