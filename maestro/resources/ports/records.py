"""Who has which ports: what a lease leaves for others to read, beside the lock that says whether it holds.

<machine>/ports/
    lock                    byte n is held by whoever has port n leased (bytelocks.py)
    leases/<marker>.json    a lease
    by-port/<n>             a link to the lease that port n is of

A lease is written before its links, and only by who holds the locks of its ports; so a crash leaves a lease that the
next one who wants its ports takes away, and no link without a lease that anybody minds.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field

from maestro.model.ids import hashed_name
from maestro.model.record import Record
from maestro.proc.family import census
from maestro.proc.request import MARKER
from maestro.store.machine import make_trusted

_LARGEST = 1 << 16
_NO_LEASE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})


class Lease(Record):
    """One block of ports, and whose it is."""

    marker: str = Field(min_length=1)  # of the attempt's processes
    task: str
    run_id: str
    repository: str
    ports: dict[str, Annotated[int, Field(ge=1, le=65535)]] = Field(min_length=1)  # variable → port
    pid: int  # the coordinator that took it
    pid_started: float  # seconds since boot
    since: AwareDatetime


class Records:
    """The leases of one machine folder. OSError from any method where the disk says no."""

    def __init__(self, machine: Path) -> None:
        self._machine = machine
        self.folder = machine / "ports"
        self.lock = self.folder / "lock"
        self._leases = self.folder / "leases"
        self._by_port = self.folder / "by-port"

    def make(self) -> None:
        """Make the folders; StateError where that of the machine cannot be trusted."""
        make_trusted(self._machine)
        for folder in (self.folder, self._leases, self._by_port):
            folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, lease: Lease) -> None:
        """Say whose the ports are; whoever writes holds their locks."""
        path = self._path(lease.marker)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(lease.model_dump(mode="json")))  # in ASCII, also names that are no text
        new.replace(path)  # not synced: after a power cut nobody has a port
        target = f"../leases/{path.name}"
        for port in lease.ports.values():
            link = self._by_port / str(port)
            try:
                link.symlink_to(target)
            except FileExistsError:  # of a lease that was torn, or taken away half
                _clear(link)
                link.symlink_to(target)
        with contextlib.suppress(OSError):
            os.utime(self.lock)  # whoever tidies up by age takes it for used

    def remove(self, lease: Lease) -> None:
        """Take it away, with those of its links that lead to it."""
        path = self._path(lease.marker)
        for port in lease.ports.values():
            link = self._by_port / str(port)
            with contextlib.suppress(OSError):  # one that leads to no lease says nothing
                if link.readlink().name == path.name:
                    link.unlink()
        path.unlink(missing_ok=True)

    def of_marker(self, marker: str) -> Lease | None:
        """The lease of an attempt."""
        return _read(self._path(marker))

    def of_port(self, port: int) -> Lease | None:
        """The lease that a port is of."""
        found = _read(self._by_port / str(port))
        return found if found is not None and port in found.ports.values() else None  # a link may be an older lease's

    def all(self) -> Iterator[Lease]:
        """Every lease, by the time it was taken; those that are being written or were torn are left out."""
        found = (_read(path) for path in self._leases.glob("*.json"))
        yield from sorted((one for one in found if one is not None), key=lambda one: (one.since, one.marker))

    def _path(self, marker: str) -> Path:
        return self._leases / f"{hashed_name(marker)}.json"


def _read(path: Path) -> Lease | None:
    """None for what is no lease, whatever it is: agents can write here, too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not keep us waiting
    except OSError as error:
        if error.errno in _NO_LEASE:
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    with open(fd, "rb") as file:
        try:
            return Lease.model_validate(json.loads(file.read(_LARGEST)))
        except (ValueError, RecursionError):  # pydantic's is a ValueError, too
            return None


def _clear(link: Path) -> None:
    """Make room for a link, whatever stands in its place."""
    try:
        link.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(link)


def living_markers() -> set[str]:
    """Those of all live processes, and our own: a maestro that an agent started is of the agent's family."""
    own = os.environ.get(MARKER)
    return census().keys() | ({own} if own else set())


def is_of(lease: Lease, markers: Iterable[str]) -> bool:
    """Whether one of these markers of live processes is of the lease's family: its own, or one below (a gate's)."""
    return any(one == lease.marker or one.startswith(f"{lease.marker}/") for one in markers)
