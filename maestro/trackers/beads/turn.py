"""One writer at a time, in this process and in all others on this machine.

The lock is on the `.beads` folder itself: it holds for all clones that share the database, needs no file that git
could see, and the kernel frees it with its holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from maestro.errors import TrackerError
from maestro.store.filelocks import POLL_SECONDS


class Turn:
    """Taken around everything that reads in order to write."""

    def __init__(self, folder: Path, *, timeout_seconds: float) -> None:
        self._folder = folder
        self._timeout_seconds = timeout_seconds
        self._mine = threading.Lock()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Hold it; TrackerError when nobody gives way in time. Not reentrant."""
        until = time.monotonic() + self._timeout_seconds
        if not self._mine.acquire(timeout=self._timeout_seconds):
            raise self._busy()
        try:
            fd = self._open()
            try:
                self._lock(fd, until)
                yield
            finally:
                # closing alone would leave it to a child that another thread is just starting, until it has begun
                fcntl.flock(fd, fcntl.LOCK_UN)
                os.close(fd)
        finally:
            self._mine.release()

    def _open(self) -> int:
        try:
            return os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise TrackerError(f"{self._folder} cannot be opened: {error.strerror}") from error

    def _lock(self, fd: int, until: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise self._busy() from None
                time.sleep(POLL_SECONDS)
            else:
                return

    def _busy(self) -> TrackerError:
        return TrackerError(
            f"another maestro has been writing to {self._folder} for {self._timeout_seconds:g} s",
            hint="see `maestro status` for the runs that are under way",
        )
