"""When a gateway is no longer needed: nobody of its run has lived for a while, by the kernel's word (A-6).

A coordinator that is killed takes no agent with it, so the gateway stays for those that go on, and for the coordinator
that resumes the run. Where none comes, it must not stay for ever: it holds keys.
"""

from __future__ import annotations

import asyncio
import time

from maestro.gateway.contract import Told
from maestro.proc.family import ProcessId, census, identify
from maestro.resources.providers import PROVIDERS


class Coordinator:
    """The process that has started the gateway or taken it over."""

    def __init__(self, pid: int, started: float) -> None:
        self._process = ProcessId(pid, started)

    def is_now(self, pid: int, started: float) -> None:
        """Another one has resumed the run."""
        self._process = ProcessId(pid, started)

    def is_alive(self) -> bool:
        """Whether it lives: the same process, not one with its number."""
        return identify(self._process.pid) == self._process


def has_family(told: Told) -> bool:
    """Whether a process of the run lives, gateways aside. One look over /proc."""
    room = told.marker.rpartition("/")[0]  # the gateways of other providers stand beside it
    gateways = {f"{room}/{provider}" for provider in PROVIDERS}
    return any(marker.startswith(told.family) and marker not in gateways for marker in census())


async def until_deserted(told: Told, coordinator: Coordinator) -> None:
    """Return when neither the coordinator nor a process of the run has been seen for the idle time."""
    seen = time.monotonic()
    while time.monotonic() - seen < told.idle_seconds:
        await asyncio.sleep(told.check_seconds)
        if coordinator.is_alive() or await asyncio.to_thread(has_family, told):
            seen = time.monotonic()
