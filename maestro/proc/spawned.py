"""Runs one process to its end, most often a git, or starts one that is kept, for as little of our own processor time
as can be had.

A task takes half a dozen of them. `subprocess.run` watches three pipes for each call, which costs half a millisecond:
here only standard output is a pipe, and what is said to it and on standard error goes by files in memory.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from maestro.proc.posixspawn import FileActions, above

FILE = 3
"""Descriptor of the file that a process may be given."""

_CHUNK = 1 << 16


def run(
    argv: list[str], *, env: Mapping[str, str], stdin: bytes | None, timeout_seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run` with captured output; OSError and TimeoutExpired are raised as there, and whatever ends the
    wait kills the process. Something it leaves behind with standard error open holds nobody up. The program is a path,
    and starts in the current directory."""
    deadline = time.monotonic() + timeout_seconds
    with _in_memory(b"") as errors, nullcontext() if stdin is None else _in_memory(stdin) as source:
        pid, answers = start(argv, env, source, errors)
        try:
            output = _read_all(answers, deadline)
            _wait_for_the_end(pid, deadline)
        except BaseException as error:
            os.kill(pid, signal.SIGKILL)
            if isinstance(error, TimeoutError):
                raise subprocess.TimeoutExpired(argv, timeout_seconds) from error
            raise
        finally:
            os.close(answers)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return subprocess.CompletedProcess(argv, code, output, content(errors))


def start(
    argv: list[str], env: Mapping[str, str], source: int | None, errors: int, *, file: int | None = None
) -> tuple[int, int]:
    """Its process id, and where its standard output can be read. `source` and `errors` are above 2. It has `file`
    open as `FILE`, above which it is here."""
    answers, output = pipe()
    try:
        actions = FileActions()
        if source is None:
            actions.open(0, os.devnull, os.O_RDONLY, 0)
        else:
            actions.dup2(source, 0)
        actions.dup2(output, 1)
        actions.dup2(errors, 2)
        if file is not None:
            actions.dup2(file, FILE)
        actions.close_above(2 if file is None else FILE)
        return actions.spawn(argv, env), answers
    except BaseException:
        os.close(answers)
        raise
    finally:
        os.close(output)


def end(pid: int, patience_seconds: float) -> int:
    """Wait for the end of a process that was given the end of its input; past the patience it is killed. Its code."""
    try:
        _wait_for_the_end(pid, time.monotonic() + patience_seconds)
    except BaseException as error:
        os.kill(pid, signal.SIGKILL)
        if not isinstance(error, TimeoutError):
            raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code


def pipe() -> tuple[int, int]:
    """Both its ends, which no child of ours has open unless it is given one."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        reading = above(2, reading)
    except OSError:
        os.close(writing)
        raise
    try:
        return reading, above(2, writing)
    except OSError:
        os.close(reading)
        raise


def memory() -> int:
    """An empty file that has no name; its descriptor is above `FILE`."""
    return above(FILE, os.memfd_create("maestro", os.MFD_CLOEXEC))


def _read_all(pipe: int, deadline: float) -> bytes:
    """What it prints until nobody can print any more; TimeoutError past the deadline."""
    chunks: list[bytes] = []
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _wait_for_the_end(pid: int, deadline: float) -> None:
    """Most children end some microseconds after their output; TimeoutError past the deadline."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError
    finally:
        os.close(pidfd)


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file that has no name; its descriptor stands at the beginning."""
    fd = memory()
    try:
        if content:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def content(fd: int) -> bytes:
    """All that stands in a file in memory, wherever its descriptor stands."""
    size = os.fstat(fd).st_size
    chunks, at = [], 0
    while at < size and (chunk := os.pread(fd, size - at, at)):
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)
