"""The named resources of a run, as its tasks and its gates take them (I-7)."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from maestro.errors import MaestroError, StateError
from maestro.resources.base import Lock
from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import LockStatus, Resource, Scope, Who
from maestro.resources.locks.status import status


class Once:
    """Calls it the first time, and never again."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class NamedResources:
    """Knows which there are and where their queues stand. What is taken by its tasks is known to nobody else: it asks
    the folder each time."""

    def __init__(
        self,
        resource_named: Callable[[str], Resource],
        folder_of: Callable[[Scope], Path],
        environ: Mapping[str, str],
        variables: Mapping[str, str],
    ) -> None:
        """`environ`: of the coordinator; under a lock of its own it is refused that very lock, not left waiting.
        `variables`: see `Locks`."""
        self.variables = variables
        self._resource_named = resource_named
        self._folder_of = folder_of
        self._environ = environ
        self._doors: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(
        self, name: str, who: Who, *, limit_seconds: float | None, on_queued: Callable[[LockStatus], None]
    ) -> Lock:
        """See `Locks.take`. A place in the queue is taken in a thread: so one after the other, as they come."""
        resource = self._resource_named(name)._replace(limit_seconds=limit_seconds)
        folder, door = self._folder_of(resource.scope), self._doors[name]
        let_in = Once(door.release)

        def queued(status: LockStatus) -> None:
            let_in()
            on_queued(status)

        await door.acquire()
        try:
            return await acquire(folder, resource, who, on_queued=queued, environ=self._environ)
        except OSError as error:
            what = (error.strerror or str(error)).lower()
            raise StateError(f"the lock {name} cannot be used: {what}: {folder / name}") from error
        finally:
            let_in()

    def status(self, name: str) -> LockStatus:
        """See `Locks.status`."""
        resource = self._resource_named(name)
        return status(self._folder_of(resource.scope), resource)

    def is_used_by(self, task: str, run_id: str) -> bool:
        """See `Locks.is_used_by`."""
        for scope in Scope:
            with suppress(MaestroError, OSError):
                for folder in self._folder_of(scope).iterdir():
                    with suppress(MaestroError, OSError):
                        if _has(status(folder.parent, Resource(folder.name)), task, run_id):
                            return True
        return False


def _has(found: LockStatus, task: str, run_id: str) -> bool:
    users = [(one.task, one.run) for one in found.queue if not one.outlives]
    users += [(one.task, one.run) for one in found.holders if one.pid != os.getpid()]
    return (task, run_id) in users
