"""What attempts and gates are provided with beside a workspace (I-1, I-2, I-6), by the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.clock import Clock
from maestro.config.settings import Settings
from maestro.planning.ports import services_of
from maestro.store.layout import Layout
from maestro.store.machine import check_machine_folder, machine_folder
from maestro.vcs.git import Git
from maestro.wiring.surroundings import check_surroundings, surroundings_of

if TYPE_CHECKING:
    from maestro.resources.base import Provision


def check_provisions(settings: Settings, environ: Mapping[str, str]) -> None:
    """Refuse (BadInput, StateError) what can be seen to fail before anything is started; makes nothing."""
    services_of(settings.ports)
    check_machine_folder(environ)
    check_surroundings(settings, environ)


def provisions_of(
    settings: Settings,
    *,
    git: Git,
    layout: Layout,
    run_id: str,
    root: Path,
    clock: Clock,
    environ: Mapping[str, str],
) -> tuple[Provision, ...]:
    """In the order in which they are taken: ports, then the environment, and what wraps commands last."""
    from maestro.resources.envfile import EnvFile  # none is wanted before a run begins
    from maestro.resources.ports.leases import PortLeases

    ports = PortLeases(
        machine_folder(environ), services_of(settings.ports), run_id=run_id, repository=git.directory, clock=clock
    )
    first = EnvFile(ports)
    return (first, *surroundings_of(settings, git=git, layout=layout, run_id=run_id, root=root, environ=environ))
