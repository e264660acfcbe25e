"""Locks between processes that the kernel frees: flock on a file that stays, so a dead holder holds nothing."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from maestro.errors import Busy, StateError

POLL_SECONDS = 0.01
"""How often a waiter looks again; flock has no wait with a limit."""

GRACE_SECONDS = 0.1
"""Waited at least, so that a momentary look by `is_held` never refuses anybody."""


@contextlib.contextmanager
def locked(
    path: Path, timeout_seconds: float | None = None, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock file `path` (made where it is missing, never removed) against other processes and threads.

    `timeout_seconds` None waits for ever; Busy when it runs out. `on_wait` is called once, when somebody else
    holds the lock. StateError when the file cannot be made. Not reentrant.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = _acquired(path, timeout_seconds, on_wait)
    except OSError as error:
        raise StateError(f"the lock file {path} cannot be used: {error.strerror}") from error
    if fd is None:
        raise Busy(f"{path} is locked by another process", hint="wait until it has ended")
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # said, not left to the end of the descriptor: a child may just be starting
        os.close(fd)


def _acquired(path: Path, timeout_seconds: float | None, on_wait: Callable[[], None] | None) -> int | None:
    """A descriptor that holds the lock, None where the time is over."""
    fd = _try(path)
    if fd is not None:
        return fd
    if on_wait is not None:
        on_wait()
    deadline = math.inf if timeout_seconds is None else time.monotonic() + max(timeout_seconds, GRACE_SECONDS)
    while (fd := _try(path)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return fd


def _try(path: Path) -> int | None:
    """The same at once; None where somebody else holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)  # held, or somebody removed the file meanwhile: then it guards nothing
    return None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock now; makes no file. A missing file is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(f"the lock file {path} cannot be read: {error.strerror}") from error
    try:
        # shared, so that two who look at once do not see each other
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
