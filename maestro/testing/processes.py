"""Real children for tests: requests with all their files in one folder."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from maestro.proc.request import MARKER, ProcessRequest


def make_request(
    folder: Path,
    argv: Sequence[str],
    *,
    marker: str = "",
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessRequest:
    """A request that runs `argv` in `folder`, with the environment of this process and a marker of its own."""
    stdin_file = None
    if stdin is not None:
        stdin_file = folder / "stdin"
        stdin_file.write_text(stdin)
    return ProcessRequest(
        argv=tuple(argv),
        cwd=folder,
        env={**os.environ, **(env or {}), MARKER: marker or f"test-{uuid.uuid4().hex}"},
        stdin_file=stdin_file,
        stdout_file=folder / "stdout",
        stderr_file=folder / "stderr",
        exit_file=folder / "exit",
    )


def shell(script: str) -> tuple[str, ...]:
    """The command line of a shell script."""
    return ("/bin/sh", "-c", script)


def python(script: str) -> tuple[str, ...]:
    """The command line of a Python script, started as lean as Python can."""
    return (sys.executable, "-S", "-E", "-c", script)


class Gate:
    """A pipe in a file: who reads a line of it (`read _ < PATH`) waits until the test lets it through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # open for both, so that neither side ever waits to open it

    def let_through(self, times: int = 1) -> None:
        """So many readers, now or later."""
        os.write(self._fd, b"go\n" * times)

    def close(self) -> None:
        """Whoever still waits goes on, with an error."""
        os.close(self._fd)


def until(true: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait for a condition that other processes bring about; AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds:g} s: {true}")
        time.sleep(0.005)
