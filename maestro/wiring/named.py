"""Settings → the named resources of a run (I-7)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from maestro.config.settings import Settings
from maestro.resources.locks.place import folder_of
from maestro.resources.named import NamedResources
from maestro.store.layout import Layout
from maestro.wiring.locks import resource_named


def named_resources_of(settings: Settings, layout: Layout, run_id: str, environ: Mapping[str, str]) -> NamedResources:
    """As the run's tasks and gates take them."""
    return NamedResources(
        lambda name: resource_named(settings, name),
        lambda scope: folder_of(scope, layout.repository, run_id, environ),
        environ,
        {"MAESTRO_RESOURCES": json.dumps({name: one.model_dump() for name, one in settings.resources.items()})},
    )
