"""Runs one git process to its end, for as little of our own processor time as can be had.

A task takes some ten of them. `subprocess.run` watches three pipes for each call, which costs half a millisecond: here
only standard output is a pipe, and what is said to git and on standard error goes by files in memory.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

_CHUNK = 1 << 16


def run(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes | None, timeout_seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run` with captured output; OSError and TimeoutExpired are raised as there, and whatever ends the
    wait kills the process. Something it leaves behind with standard error open holds nobody up."""
    with _in_memory(b"") as errors, nullcontext() if stdin is None else _in_memory(stdin) as source:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if source is None else source,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )
        try:
            output = _read_all(child, time.monotonic() + timeout_seconds)
        except BaseException:
            child.kill()
            child.wait()
            raise
        return subprocess.CompletedProcess(argv, child.returncode, output, _content(errors))


def _read_all(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """What it prints until it has ended; TimeoutExpired past the deadline."""
    assert child.stdout is not None
    chunks = []
    with child.stdout as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while True:
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise subprocess.TimeoutExpired(child.args, 0)
            chunk = os.read(pipe.fileno(), _CHUNK)
            if not chunk:
                break
            chunks.append(chunk)
    _wait_for_the_end(child, deadline)
    return b"".join(chunks)


def _wait_for_the_end(child: subprocess.Popen[bytes], deadline: float) -> None:
    """`Popen.wait` with a timeout sleeps between its looks; most children end some microseconds after their output."""
    pidfd = os.pidfd_open(child.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise subprocess.TimeoutExpired(child.args, 0)
    finally:
        os.close(pidfd)
    child.wait()


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file that has no name; its descriptor stands at the beginning."""
    fd = os.memfd_create("maestro", os.MFD_CLOEXEC)
    try:
        if content:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _content(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    chunks, at = [], 0
    while at < size and (chunk := os.pread(fd, size - at, at)):
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)
