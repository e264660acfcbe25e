"""The named resources of a run, as its tasks and its gates take them (I-7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from maestro.resources.base import Lock
from maestro.resources.locks.acquire import acquire
from maestro.resources.locks.base import LockStatus, Resource, Scope, Who
from maestro.resources.locks.status import status


class NamedResources:
    """Knows which there are and where their queues stand. What is taken by its tasks is known to nobody else: it asks
    the folder each time."""

    def __init__(
        self,
        resource_named: Callable[[str], Resource],
        folder_of: Callable[[Scope], Path],
        environ: Mapping[str, str],
    ) -> None:
        """`environ`: of the coordinator; under a lock of its own it is refused that very lock, not left waiting."""
        self._resource_named = resource_named
        self._folder_of = folder_of
        self._environ = environ

    async def take(
        self, name: str, who: Who, *, limit_seconds: float | None, on_queued: Callable[[LockStatus], None]
    ) -> Lock:
        """See `Locks.take`."""
        resource = replace(self._resource_named(name), limit_seconds=limit_seconds)
        folder = self._folder_of(resource.scope)
        return await acquire(folder, resource, who, on_queued=on_queued, environ=self._environ)

    def status(self, name: str) -> LockStatus:
        """See `Locks.status`."""
        resource = self._resource_named(name)
        return status(self._folder_of(resource.scope), resource)
