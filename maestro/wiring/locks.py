"""Settings → named resources (I-7)."""

from __future__ import annotations

from maestro.config.settings import Settings
from maestro.resources.locks.base import Resource, Scope


def resource_named(settings: Settings, name: str) -> Resource:
    """The resource as it is configured; a name that nobody configured has one slot, in the repository."""
    configured = settings.resources.get(name)
    if configured is None:
        return Resource(name)
    return Resource(name, configured.slots, Scope(configured.scope), configured.limit)
