"""Settings → the named resources of a run (I-7)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maestro.config.settings import Settings
from maestro.errors import BadInput, Busy
from maestro.model.gate import TESTS
from maestro.resources.locks.base import Scope, marks
from maestro.resources.locks.place import folder_of
from maestro.store.layout import Layout
from maestro.wiring.locks import resource_named

if TYPE_CHECKING:
    from maestro.resources.named import NamedResources


def named_resources_of(settings: Settings, layout: Layout, run_id: str, environ: Mapping[str, str]) -> NamedResources:
    """As the run's tasks and gates take them. Where the run works under a lock itself, so do its agents: they end with
    it, and do not wait for it."""
    from maestro.resources.named import NamedResources  # not wanted before a run begins

    told = {name: one.model_dump() for name, one in settings.resources.items()}
    return NamedResources(
        lambda name: resource_named(settings, name),
        lambda scope: folder_of(scope, layout.repository, run_id, environ),
        environ,
        {"MAESTRO_RESOURCES": json.dumps(told), **marks(environ)},
    )


def refuse_under_tests(settings: Settings, layout: Layout, environ: Mapping[str, str]) -> None:
    """BadInput where the run itself works under the lock that its gates and its agents take: they would wait for it."""
    resource = resource_named(settings, TESTS)
    if not marks(environ) or resource.scope is Scope.RUN:
        return
    from maestro.resources.locks.queue import refuse_again

    try:
        refuse_again(folder_of(resource.scope, layout.repository, None, environ), TESTS, environ)
    except Busy as error:
        raise BadInput(
            f"this works under the lock {TESTS}, which the run takes itself for each of its tests",
            hint=f"start the run without `maestro lock {TESTS} --`",
        ) from error
