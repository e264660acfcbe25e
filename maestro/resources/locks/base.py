"""Named resources (I-7): what they are, who holds one, who waits. Plain values: `maestro lock` starts a command in no
time, so nothing here may need a slow import."""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from maestro.errors import Busy
from maestro.resources.locks.records import MARK

DEFAULT_LIMIT_SECONDS = 900.0

TOKEN = "MAESTRO_FENCING_TOKEN"
"""The variable that gives a command its fencing token."""


class Scope(StrEnum):
    """Among whom a name means the same resource."""

    RUN = "run"
    REPO = "repo"
    MACHINE = "machine"


class Resource(NamedTuple):
    """Something that `slots` may hold at once."""

    name: str
    slots: int = 1
    scope: Scope = Scope.REPO
    limit_seconds: float | None = DEFAULT_LIMIT_SECONDS  # None: its holder has a limit of its own


class Family(NamedTuple):
    """Processes that have `variable`=`value` in their environment."""

    variable: str
    value: str


class Who(NamedTuple):
    """Who takes a lock, and what works under it."""

    task: str | None = None
    run: str | None = None
    what: str = ""  # words about what is done under it
    family: Family | None = None  # what works under it: ended, or waited for, before a dead holder's lock passes on
    outlives: bool = False  # the family goes on without the process that took the lock, and keeps it for as long


class Holder(NamedTuple):
    """Who has a slot. `is_gone`: the process that took it has died, and its family, which outlives it, goes on."""

    pid: int
    task: str | None
    run: str | None
    what: str
    since: str  # ISO 8601, UTC, with a Z
    token: int
    is_gone: bool = False


class Waiter(NamedTuple):
    """Who waits for one. `outlives`: for something that has not begun; else it works already."""

    pid: int
    task: str | None
    run: str | None
    since: str
    outlives: bool = False


class LockStatus(NamedTuple):
    """A resource as it stands; the queue in its order."""

    name: str
    capacity: int
    holders: tuple[Holder, ...] = ()
    queue: tuple[Waiter, ...] = ()


class WaitedTooLong(Busy):
    """The resource was not free within the time that the caller would wait."""

    exit_code = 124


def status_object(status: LockStatus) -> dict[str, Any]:
    """As `maestro lock NAME --status --json` prints it."""
    return {
        "name": status.name,
        "capacity": status.capacity,
        "holders": [
            {"pid": one.pid, "task": one.task, "since": one.since, "token": one.token} for one in status.holders
        ],
        "queue": [{"pid": one.pid, "since": one.since} for one in status.queue],
    }


def held_by(status: LockStatus) -> str:
    """`process 71 of task x since 12:04:05Z`, for words about who is waited for; empty where nobody holds it."""
    return " and ".join(
        f"process {one.pid}{f' of task {one.task}' if one.task else ''} since {one.since[11:19]}Z"
        for one in status.holders
    )


def marks(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say which locks a process works under: name → folder of the resource."""
    return {name: value for name, value in environ.items() if name.startswith(MARK)}
