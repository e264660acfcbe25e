"""Attempts as children of this machine."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from maestro.proc.family import ProcessId, members, resident_bytes
from maestro.proc.ladder import Descent, Graces, Rung, descend
from maestro.proc.request import MARKER, Exit, ProcessRequest
from maestro.proc.run import Child, adopt, find_wrapper, spawn

log = logging.getLogger(__name__)


class LocalProcess:
    """A child and all processes that carry its marker."""

    def __init__(self, child: Child, marker: str, graces: Graces) -> None:
        self.pid = child.pid
        self.pid_started = child.pid_started
        self._child = child
        self._wrapper = ProcessId(child.pid, child.pid_started)
        self._marker = marker
        self._graces = graces
        self._stopping: asyncio.Task[Descent] | None = None

    async def wait(self) -> Exit:
        """Until the command has ended; an event of the kernel, not a poll. May be awaited again."""
        return await self._child.wait()

    async def stop(self, reason: str) -> None:
        """The ladder over every process with the marker; a second call joins the first."""
        if self._stopping is None or self._stopping.done():
            log.info("stopping the processes of %s: %s", self._marker, reason, extra={"action": "stop"})
            self._stopping = asyncio.create_task(descend(self._marker, recorder=self._wrapper, graces=self._graces))
        _warn(await asyncio.shield(self._stopping), self._marker)

    async def sweep(self) -> int:
        """Stop what outlived the command. Starts at TERM: there is nobody left to whom an interrupt would matter."""
        return await stop_all(self._marker, self._graces)

    def resident_bytes(self) -> int:
        """Memory of the whole family now; 0 when it is gone. One look over /proc, about a millisecond."""
        return resident_bytes(members(self._marker))

    def release(self) -> None:
        """Stop watching and let it go on; a later coordinator adopts it."""
        self._child.release()


class LocalExecutor:
    """Starts children on this machine."""

    def __init__(self, graces: Graces | None = None) -> None:
        self._graces = graces or Graces()

    async def start(self, request: ProcessRequest) -> LocalProcess:
        """Start it. A command that does not exist is an exit code 127; WorkspaceError means nothing was started."""
        return LocalProcess(spawn(request), request.env[MARKER], self._graces)

    def adopt(self, process: tuple[int, float] | None, *, marker: str, exit_file: Path) -> LocalProcess | None:
        """Take over what an earlier coordinator started. Call it inside the event loop."""
        if process is None:
            process = find_wrapper(marker, exit_file)
        if process is None:
            if not exit_file.exists():
                return None
            process = (0, 0.0)  # its wrapper has ended: all that is left is what it wrote
        return LocalProcess(adopt(*process, marker=marker, exit_file=exit_file), marker, self._graces)

    async def end_all(self, marker: str) -> int:
        """Stop every process with the marker; how many there were."""
        return await stop_all(marker, self._graces)


async def stop_all(marker: str, graces: Graces) -> int:
    """Stop every process with the marker, beginning at TERM; how many there were."""
    if not members(marker):
        return 0
    done = await descend(marker, graces=graces, first=Rung.TERMINATE)
    _warn(done, marker)
    return done.stopped


def _warn(done: Descent, marker: str) -> None:
    if done.left:
        log.warning(
            "processes %s of %s live on after SIGKILL", ", ".join(map(str, done.left)), marker, extra={"action": "stop"}
        )
