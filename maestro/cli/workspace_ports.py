"""`maestro workspace ports`: who has which ports on this machine, and since when (I-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import output_options

if TYPE_CHECKING:
    from maestro.resources.ports.listing import Seen

STANDS = {
    "held": "in use by process {pid}",
    "outlived": "in use: process {pid} is gone, its agent works on",
    "stale": "stale: process {pid} is gone; whoever wants these ports gets them",
}


@click.command()
@output_options
@click.pass_obj
def command(app: App) -> None:
    """Show who has which ports on this machine: the runs of all repositories, oldest first."""
    from maestro.resources.ports.listing import list_leases
    from maestro.store.machine import machine_path

    machine = machine_path(app.environ)
    seen = list_leases(machine)
    if app.output.as_json:
        app.output.json({"folder": str(machine), "leases": [_entry(one) for one in seen]})
    elif not seen:
        app.output.text("No ports are leased.")
    else:
        app.output.text(*columns([("PORTS", "TASK", "RUN", "REPOSITORY", "SINCE", "STATE"), *map(_row, seen)]))


def _row(one: Seen) -> tuple[str, ...]:
    lease = one.lease
    return (
        " ".join(str(port) for port in lease.ports.values()),
        lease.task,
        lease.run_id,
        lease.repository,
        f"{lease.since.astimezone():%Y-%m-%d %H:%M:%S}",
        STANDS[one.state].format(pid=lease.pid),
    )


def _entry(one: Seen) -> dict[str, Any]:
    from maestro.clock import as_z

    lease = one.lease
    return {
        "task": lease.task,
        "run_id": lease.run_id,
        "repository": lease.repository,
        "attempt": lease.marker,
        "ports": lease.ports,
        "pid": lease.pid,
        "since": as_z(lease.since),
        "state": one.state.value,
    }
