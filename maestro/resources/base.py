"""What an attempt is provided with beside its workspace: ports, a home, caches, a sandbox; and named resources, for
which it waits before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from maestro.proc.request import ProcessRequest
from maestro.resources.locks.base import LockStatus, Who


class Need(NamedTuple):
    """Who is to be provided for."""

    task_id: str
    marker: str  # of all processes of the attempt; one and the same when a later coordinator adopts it
    home: Path  # the folder that holds the workspace (W-2)
    repo: Path  # the files, inside of it
    agent: str | None  # name of its adapter; None: not an agent but a gate


def _as_it_is(request: ProcessRequest) -> ProcessRequest:
    return request


class Provided(NamedTuple):
    """What its children get."""

    env: Mapping[str, str] = {}  # stronger than the allow-list, weaker than A-2 and the agent
    wrap: Callable[[ProcessRequest], ProcessRequest] = _as_it_is  # the last change to each of its requests


class Provision(Protocol):
    """One kind of thing that attempts are provided with. Methods block and are called from several threads at once."""

    def take(self, need: Need) -> Provided:
        """Get it for this attempt. For an attempt that has it already (adopted from a dead coordinator): the same
        again. MaestroError where that cannot be: the attempt fails with its message."""
        ...

    def give_back(self, need: Need) -> None:
        """The attempt has ended, with all its processes. Never raises; fine where nothing was taken."""
        ...


class Lock(Protocol):
    """A slot of a named resource that is held (I-7)."""

    token: int  # only grows
    waited_seconds: float

    @property
    def variables(self) -> dict[str, str]:
        """For the environment of what works under it."""
        ...

    def release(self) -> None:
        """Give it back. Quick; may be called again."""
        ...


class Locks(Protocol):
    """The named resources there are."""

    variables: Mapping[str, str]  # for agents and gates: by these, `maestro lock` means the same resources

    async def take(
        self, name: str, who: Who, *, limit_seconds: float | None, on_queued: Callable[[LockStatus], None]
    ) -> Lock:
        """A slot, in the order of coming; where `who` outlives its coordinator and has one, that again. `on_queued` is
        called once, where it has to wait. When cancelled, nothing is held. MaestroError where it cannot be had."""
        ...

    def status(self, name: str) -> LockStatus:
        """Who holds it and who waits. Blocks for a moment. StateError where that cannot be read."""
        ...

    def is_used_by(self, task: str, run_id: str) -> bool:
        """Whether a command of the task waits for a resource or works under one; what the coordinator itself took for
        the task does not count. Blocks for a moment."""
        ...
