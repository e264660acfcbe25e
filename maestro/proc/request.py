"""What to run, and how it ended."""

# no `from __future__ import annotations`: see maestro.model.record

from pathlib import Path

from maestro.model.record import Record
from maestro.proc.marker import MARKER as MARKER  # noqa: PLC0414 - most get it from here


class ProcessRequest(Record):
    """A child that may outlive us: its output goes to files, a shell wrapper records its exit status."""

    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str]  # the whole environment; MARKER must be in it
    stdin_file: Path | None = None  # None: /dev/null
    stdout_file: Path  # appended to
    stderr_file: Path  # appended to; may equal stdout_file
    exit_file: Path  # the wrapper writes "<code>\n" here after the command has ended


class Exit(Record):
    """How a child ended. `code` is the command's own (128+n for a signal, as a shell says), None when
    the wrapper itself died before it could record one (then `signal` says by what, where known)."""

    code: int | None
    signal: int | None = None
    seconds: float
