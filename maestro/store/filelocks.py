"""Locks between processes that the kernel frees: flock on a file that stays, so a dead holder holds nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.errors import Busy, StateError

if TYPE_CHECKING:
    from filelock import FileLock

POLL_SECONDS = 0.01
"""How often a waiter looks again; flock has no wait with a limit."""

GRACE_SECONDS = 0.1
"""Waited at least, so that a momentary look by `is_held` never refuses anybody."""

_UNUSED: dict[tuple[int, Path], FileLock] = {}
"""By process, since one that was forked must not use them, and file. Making one anew takes longer than locking and
releasing it, and a run has some that it takes for each task."""


@contextlib.contextmanager
def locked(
    path: Path, timeout_seconds: float | None = None, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock file `path` (made where it is missing, never removed) against other processes and threads.

    `timeout_seconds` None waits for ever; Busy when it runs out. `on_wait` is called once, when somebody else
    holds the lock. StateError when the file cannot be made. Not reentrant.
    """
    from filelock import Timeout  # a slow import, and most commands never lock

    try:
        lock = _taken(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire(timeout=-1 if timeout_seconds is None else max(timeout_seconds, GRACE_SECONDS))
    except Timeout as error:
        raise Busy(f"{path} is locked by another process", hint="wait until it has ended") from error
    except OSError as error:
        raise StateError(f"the lock file {path} cannot be used: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
        _UNUSED[os.getpid(), path] = lock


def _taken(path: Path) -> FileLock:
    """A lock that nobody else has in hand; it makes the folder, too."""
    from filelock import FileLock

    unused = _UNUSED.pop((os.getpid(), path), None)
    # nobody else sees the object, so what it keeps need not be kept for each thread
    return unused or FileLock(path, poll_interval=POLL_SECONDS, thread_local=False)


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
