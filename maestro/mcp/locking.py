"""Commands that run under a named lock for a client (I-7, C-4).

Each is a `maestro lock` of its own. A client waits a minute at most for an answer, and tests take longer: so a call
answers in time, with a name by which the next one goes on waiting. What a client has started ends with the client: a
pipe to the server tells the shell around it when the server is gone, however it ended.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process

from maestro.errors import BadInput, StateError

KEPT = 20
"""Ended commands of which a client may still ask."""

TAIL = 8_000
"""Characters of the end of the output in an answer."""

_END_SECONDS = 20.0

# Standard input is the pipe; in the background it would be /dev/null, so it is another descriptor there. When the pipe
# is closed, the lock is told to end, passes that on to its command, and is killed where that takes too long: then the
# command dies with it.
_WRAPPER = """\
exec 3<&0 </dev/null
"$@" 3<&- & lock=$!
{
  pause=; trap '[ -z "$pause" ] || kill "$!"; exit' TERM
  read -r _
  kill -TERM "$lock"
  pause=1
  sleep 5 & wait "$!"
  kill -KILL "$lock"
} <&3 3<&- >/dev/null 2>&1 & watch=$!
exec 3<&-
wait "$lock"; code=$?
kill "$watch" 2>/dev/null; wait "$watch"
exit "$code"
"""


class Command:
    """One that waits for its lock, or runs, or has ended."""

    def __init__(self, name: str, process: Process, output: int) -> None:
        self.name = name
        self._process = process
        self._output = output

    @property
    def exit_code(self) -> int | None:
        """None while it has not ended."""
        return self._process.returncode

    async def wait(self, seconds: float) -> None:
        """Until it has ended, or the time is up."""
        with anyio.move_on_after(seconds):
            await self._process.wait()

    async def stop(self) -> None:
        """End it, and whatever it has started."""
        with anyio.CancelScope(shield=True):
            if self._process.stdin is not None:
                await self._process.stdin.aclose()
            await self.wait(_END_SECONDS)

    def tail(self) -> str:
        """The end of its output."""
        size = os.fstat(self._output).st_size
        data = os.pread(self._output, TAIL * 4, max(0, size - TAIL * 4))
        return data.decode(errors="replace")[-TAIL:]

    async def close(self) -> None:
        """Nobody asks any more."""
        await self._process.aclose()
        os.close(self._output)


class Commands:
    """Those of one client."""

    def __init__(self) -> None:
        self._known: dict[str, Command] = {}

    async def start(self, argv: Sequence[str], *, name: str, cwd: Path, environ: Mapping[str, str]) -> str:
        """Start `maestro lock …` and return the name of the call. StateError where it cannot be started."""
        await self._forget_old()
        output = _nameless_file()
        try:
            process = await anyio.open_process(
                ["/bin/sh", "-c", _WRAPPER, "maestro", *argv],
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            os.close(output)
            raise StateError(f"the command cannot be started: {error.strerror or error}") from error
        call = secrets.token_hex(4)
        self._known[call] = Command(name, process, output)
        return call

    def named(self, call: str) -> Command:
        """BadInput where there is no such call."""
        if call not in self._known:
            raise BadInput(f"there is no call {call} of this server", hint="start the command again")
        return self._known[call]

    def told(self, call: str) -> dict[str, Any]:
        """How it stands, for the client."""
        command = self.named(call)
        return {
            "name": command.name,
            "call": call,
            "timed_out": command.exit_code is None,
            "exit_code": command.exit_code,
            "output_tail": command.tail(),
        }

    async def _forget_old(self) -> None:
        ended = [call for call, command in self._known.items() if command.exit_code is not None]
        for call in ended[: max(0, len(ended) - KEPT + 1)]:
            await self._known.pop(call).close()


def _nameless_file() -> int:
    """It goes with its last user."""
    try:
        fd, path = tempfile.mkstemp(prefix="maestro-")
        Path(path).unlink()
    except OSError as error:
        raise StateError(f"the command's output cannot be kept: {error.strerror or error}") from error
    return fd
