"""Leases of ports that dead runs left (I-2). Whoever wants the ports takes them away as well: this is for the list."""

from __future__ import annotations

from collections.abc import Iterable

from maestro.resources.ports.listing import LeaseState, Seen, list_leases, remove_stale
from maestro.store.machine import machine_path
from maestro.wiring.orphans.kinds import Cleared, Kind, Orphan
from maestro.wiring.orphans.scene import RunFacts, Scene
from maestro.wiring.orphans.words import cause_of, of_run


class PortLeases:
    """Leases of this repository's runs that no coordinator holds. While an agent works with the ports they stay."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {one.lease.run_id for one in _left(scene)}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        return [_orphan(run, one) for one in _of_run(scene, run)]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        return [_cleared(scene, run, one) for one in _of_run(scene, run)]


def _left(scene: Scene) -> list[Seen]:
    here = str(scene.layout.repository)
    seen = list_leases(machine_path(scene.environ))
    return [one for one in seen if one.lease.repository == here and one.state is not LeaseState.HELD]


def _of_run(scene: Scene, run: RunFacts) -> list[Seen]:
    return [one for one in _left(scene) if one.lease.run_id == run.run_id]


def _orphan(run: RunFacts, one: Seen) -> Orphan:
    ports = ", ".join(str(port) for port in one.lease.ports.values())
    return Orphan(
        kind=Kind.PORT_LEASE,
        what=f"lease of the ports {ports}",
        reason=f"taken for task {one.lease.task} {of_run(run)}",
        cause=cause_of(run),
        run_id=run.run_id,
        task=one.lease.task,
        place=one.lease.marker,
    )


def _cleared(scene: Scene, run: RunFacts, one: Seen) -> Cleared:
    orphan = _orphan(run, one)
    if remove_stale(machine_path(scene.environ), one.lease):
        return Cleared(orphan=orphan, done=True)
    return Cleared(orphan=orphan, done=False, why="processes of the attempt work with them, or they are leased again")
