"""Where an attempt runs."""

from __future__ import annotations

from typing import Protocol

from maestro.proc.request import Exit, ProcessRequest


class Running(Protocol):
    """A child under way."""

    pid: int
    pid_started: float  # kernel start time in seconds since boot: pid and this name one process for ever

    async def wait(self) -> Exit:
        """Until the command has ended; an event of the kernel, not a poll. May be awaited again."""
        ...

    async def stop(self, reason: str) -> None:
        """The ladder INT → TERM → KILL over every process with the attempt's marker; returns when none is left."""
        ...

    async def sweep(self) -> int:
        """After the end: stop what the command left behind under its marker; how many processes that were."""
        ...

    def resident_bytes(self) -> int:
        """Memory of the whole family now; 0 when it is gone."""
        ...


class Executor(Protocol):
    """Starts children."""

    async def start(self, request: ProcessRequest) -> Running:
        """Start it. A command that does not exist is an exit code 127, not an exception; an exception means
        that nothing was started."""
        ...
