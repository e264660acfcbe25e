"""How many agents at once, when the user does not say: cores, memory and free disk decide (E-4)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from maestro.resources.cores import usable_cores
from maestro.resources.machine import MachineNow

AGENTS_PER_CORE = 4
"""An agent waits for its model most of the time; measured idle cost of one is under 5 % of a core."""

MEMORY_PER_AGENT = 768 << 20
"""Bytes: coding agents peak at 200 to 690 MiB each (measured over five CLIs), plus what they start."""

DISK_PER_AGENT = 1 << 30
"""Bytes: one workspace with its build output, as a first guess."""

MOST = 32
"""More at once by default would surprise the provider's limits and the user's bill."""


class Machine(NamedTuple):
    """What there is; bytes."""

    cores: int
    memory: int
    disk: int


class Admitted(NamedTuple):
    """How many, and how that was decided."""

    agents: int
    reason: str


def look(workspace_root: Path) -> Machine:
    """The machine as it is now, or what a container leaves of it."""
    now = MachineNow([workspace_root])()
    unknown = MOST * max(MEMORY_PER_AGENT, DISK_PER_AGENT) * 2  # what the kernel does not tell stands in nobody's way
    return Machine(
        cores=usable_cores(),
        memory=unknown if now.free_memory is None else now.free_memory,
        disk=unknown if now.free_disk is None else now.free_disk,
    )


def admit(machine: Machine, floor_bytes: int) -> Admitted:
    """The smallest of what cores, memory and disk above the floor allow, at least one."""
    bounds = {
        f"{AGENTS_PER_CORE} for each of {machine.cores} core(s)": machine.cores * AGENTS_PER_CORE,
        f"{machine.memory >> 30} GiB of free memory": machine.memory // MEMORY_PER_AGENT,
        f"{machine.disk >> 30} GiB of free disk": max(machine.disk - floor_bytes, 0) // DISK_PER_AGENT,
        "the default ceiling": MOST,
    }
    reason, agents = min(bounds.items(), key=lambda bound: bound[1])
    return Admitted(agents=max(agents, 1), reason=f"decided by {reason}")
