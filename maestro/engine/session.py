"""The end of the session whose subagents do the work, as a message to the loop: the kernel tells it (C-3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maestro.engine.messages import SessionOver
from maestro.proc.family import ProcessId, identify

SESSION_OVER = "the session that worked on it has ended"


@contextmanager
def session_to(tell: Callable[[SessionOver], None], session: ProcessId | None) -> Iterator[None]:
    """While inside, the end of the session's process is told once; also where it has ended before. None: no watch."""
    if session is None:
        yield
        return
    loop = asyncio.get_running_loop()
    pidfd = _open(session)
    if pidfd is None:
        tell(SessionOver(SESSION_OVER))
        yield
        return

    def gone() -> None:
        loop.remove_reader(pidfd)
        tell(SessionOver(SESSION_OVER))

    loop.add_reader(pidfd, gone)
    try:
        yield
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _open(session: ProcessId) -> int | None:
    """A file descriptor that turns readable at its end; None where this very process is gone."""
    try:
        pidfd = os.pidfd_open(session.pid)
    except ProcessLookupError:
        return None
    if identify(session.pid) != session:  # its pid is another's by now
        os.close(pidfd)
        return None
    return pidfd
