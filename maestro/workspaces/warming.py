"""Workspaces made before anybody asks for one, while this process still loads what it needs to ask (W-5).

They are parked like used ones, from their first moment on: what a crash leaves of them is known for nobody's work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from maestro.errors import GitError, MaestroError, WorkspaceError
from maestro.proc.children import end_children
from maestro.workspaces.parking import Parked, Parking, new_place
from maestro.workspaces.recycling import NotRecyclable

PATIENCE_SECONDS = 2.0
"""For a git that is at work when all is to end; one that hangs must not hold up the end."""

_LOOK_SECONDS = 0.02
_TROUBLE = (NotRecyclable, GitError, WorkspaceError, OSError)


class Warming:
    """Makes them, each in a thread of its own, and parks them. Whatever speaks against that, there is one less, and
    nothing of it stays: whoever waited makes its own, and meets the trouble by itself."""

    def __init__(self, parking: Parking, unmake: Callable[[Path], None]) -> None:
        """`unmake` removes whatever there is of one."""
        self._parking = parking
        self._unmake = unmake
        self._threads: list[threading.Thread] = []
        self._left: list[Path] = []  # what could not be removed when it failed

    def begin(self, root: Path, count: int, make: Callable[[Path], Parked]) -> None:
        """Start making so many below `root`, fewer where there are fewer places; `make` makes one in a folder that does
        not exist yet."""
        for number in range(count):
            if not self._parking.announce():
                return
            thread = threading.Thread(target=self._warm, args=(new_place(root), make), name=f"warm-{number}")
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # no more threads can be had
                self._threads.remove(thread)
                self._parking.miss()
                return

    def end(self) -> None:
        """Wait until nothing is being made any more; the parking is closed. MaestroError where something stays."""
        # one that an interrupt met before it had begun will find the parking closed, and do nothing
        alive = [thread for thread in self._threads if thread.is_alive()]
        deadline = time.monotonic() + PATIENCE_SECONDS
        for thread in alive:
            thread.join(max(deadline - time.monotonic(), 0))
        while alive := [thread for thread in alive if thread.is_alive()]:
            for thread in alive:  # one may wait for what another holds
                if thread.native_id is not None:
                    end_children(thread.native_id)
            alive[0].join(_LOOK_SECONDS)
        self._threads.clear()
        while self._left:
            self._unmake(self._left.pop())

    def _warm(self, home: Path, make: Callable[[Path], Parked]) -> None:
        parked = None
        try:
            if self._parking.is_open():
                with suppress(*_TROUBLE):
                    parked = make(home)
                if parked is None:
                    self._remove(home)
        finally:
            if parked is None:
                self._parking.miss()
            elif not self._parking.arrive(parked):
                self._remove(home)

    def _remove(self, home: Path) -> None:
        try:
            self._unmake(home)
        except (MaestroError, OSError):
            self._left.append(home)
