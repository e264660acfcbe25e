"""Where an attempt runs."""

from __future__ import annotations

from pathlib import Path
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


class Starter(Protocol):
    """Starts children."""

    async def start(self, request: ProcessRequest) -> Running:
        """Start it. A command that does not exist is an exit code 127, not an exception; an exception means
        that nothing was started."""
        ...


class Executor(Starter, Protocol):
    """Starts children, and knows those of a coordinator that is gone."""

    def adopt(self, process: tuple[int, float] | None, *, marker: str, exit_file: Path) -> Running | None:
        """Take over a child that an earlier coordinator started. `process` is its pid and start time, None where that
        one did not live to write them down: then it is looked for. None where nothing was started."""
        ...

    async def end_all(self, marker: str) -> int:
        """Stop every process with the marker; how many there were."""
        ...
