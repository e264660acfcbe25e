"""Who has which ports, and an end of leases that nobody has any more."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

from maestro.errors import StateError
from maestro.model.record import Record
from maestro.resources.ports.bytelocks import ByteLocks, held_bytes
from maestro.resources.ports.records import Lease, Records, is_of, living_markers


class LeaseState(StrEnum):
    """What the kernel says of a lease."""

    HELD = "held"  # its coordinator lives
    OUTLIVED = "outlived"  # the coordinator died, processes of the attempt work on: nobody else gets the ports
    STALE = "stale"  # all are dead: whoever wants the ports may have them


class Seen(Record):
    """A lease as it stands."""

    lease: Lease
    state: LeaseState


def list_leases(machine: Path) -> list[Seen]:
    """Every lease of the machine, oldest first. Changes nothing, takes no lock. StateError where it cannot be read."""
    records = Records(machine)
    try:
        leases = list(records.all())
        ports = {port for lease in leases for port in lease.ports.values()}
        held = held_bytes(records.lock, ports)
    except OSError as error:
        raise _unreadable(records, error) from error
    alive = living_markers() if leases else ()
    return [Seen(lease=lease, state=_state(lease, held, alive)) for lease in leases]


def remove_stale(machine: Path, lease: Lease) -> bool:
    """Take a stale lease away; False where it turns out that somebody has it, or it is gone. StateError as above."""
    records = Records(machine)
    try:
        locks = ByteLocks(records.lock)
        try:
            if not locks.take(lease.ports.values()):
                return False
            if records.of_marker(lease.marker) != lease or is_of(lease, living_markers()):
                return False
            records.remove(lease)
            return True
        finally:
            locks.close()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(records, error) from error


def _state(lease: Lease, held: Collection[int], alive: Collection[str]) -> LeaseState:
    if any(port in held for port in lease.ports.values()):
        return LeaseState.HELD
    return LeaseState.OUTLIVED if is_of(lease, alive) else LeaseState.STALE


def _unreadable(records: Records, error: OSError) -> StateError:
    return StateError(
        f"the leases of ports in {records.folder} cannot be used: {error.strerror}",
        hint="look at the permissions there",
    )
