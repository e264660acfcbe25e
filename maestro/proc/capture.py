"""Runs a short command to its end and keeps what it says: probes, versions, availability."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.model.record import Record


class Captured(Record):
    """How it ended: `code` as a shell says it (128+n for a signal, 127 not found, 126 not executable)."""

    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def capture(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout_seconds: float = 30.0,
) -> Captured:
    """Run `argv` and wait; blocks. Its whole process group is killed when it overruns or we are interrupted.

    `env` None: our own environment. WorkspaceError when `cwd` does not exist. Output goes to files, not pipes:
    something the command leaves running in the background cannot hold us up.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if stdin:
            source.write(stdin)
            source.seek(0)
        try:
            popen = subprocess.Popen(
                list(argv), cwd=cwd, env=env, stdin=source, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            if cwd is not None and not cwd.is_dir():
                raise WorkspaceError(f"the directory {cwd} does not exist") from error
            found = not isinstance(error, FileNotFoundError)
            return Captured(code=126 if found else 127, stdout=b"", stderr=f"{argv[0]}: {error.strerror}".encode())
        in_time = False
        try:
            in_time = _ends_within(popen.pid, timeout_seconds)
        finally:
            if not in_time:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
            code = popen.wait()
        out.seek(0)
        err.seek(0)
        return Captured(
            code=code if code >= 0 else 128 - code, stdout=out.read(), stderr=err.read(), timed_out=not in_time
        )


def _ends_within(pid: int, seconds: float) -> bool:
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)
