"""Ends what a thread of ours waits for, so that nobody has to wait for the thread. Linux only: reads /proc."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress


def end_children(thread: int) -> None:
    """Kill what this thread of ours (its native id) has started and not seen the end of. Nothing where the kernel does
    not tell, or the thread is over."""
    for pid in _children(thread):
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                if pid in _children(thread):  # still: else its number may be somebody else's by now
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            finally:
                os.close(fd)


def end_own_children() -> None:
    """The same for the thread that calls; they are gone afterwards."""
    thread = threading.get_native_id()
    end_children(thread)
    for pid in _children(thread):
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _children(thread: int) -> list[int]:
    try:
        with open(f"/proc/self/task/{thread}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []
