"""Who holds a resource and who waits for it, read from its tickets; changes nothing and takes no lock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maestro.resources.locks.base import Holder, LockStatus, Resource, Waiter
from maestro.resources.locks.queue import home_of
from maestro.resources.locks.slots import family_of
from maestro.resources.locks.tickets import is_alive, look_at, numbers, read_record


def status(folder: Path, resource: Resource) -> LockStatus:
    """The resource as it stands; one that nobody ever took is free. StateError where it cannot be read."""
    home = home_of(folder, resource.name)
    return LockStatus(
        name=resource.name,
        capacity=resource.slots,
        holders=tuple(_holder(record, alive) for record, alive in _tickets(home / "holders") if "token" in record),
        queue=tuple(_waiter(record) for record, _ in _tickets(home / "queue")),
    )


def _tickets(folder: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Records of those that live, and of dead ones under which something goes on."""
    for number in numbers(folder):
        path = folder / str(number)
        fd = look_at(path)
        if fd is None:
            continue
        alive = is_alive(fd)
        os.close(fd)
        record = read_record(path)
        if record and (alive or ("token" in record and family_of(record))):
            yield record, alive


def _holder(record: dict[str, Any], alive: bool) -> Holder:
    return Holder(
        pid=record["pid"],
        task=record["task"],
        run=record["run"],
        what=record["what"],
        since=record["since"],
        token=record["token"],
        is_gone=not alive,
    )


def _waiter(record: dict[str, Any]) -> Waiter:
    return Waiter(
        pid=record["pid"],
        task=record["task"],
        run=record["run"],
        since=record["since"],
        outlives=record["outlives"],
    )
