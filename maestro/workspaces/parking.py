"""Used workspaces that wait, emptied, to be handed out again: how many, and what is known of each."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maestro.workspaces.index import Young
from maestro.workspaces.tracked import Marks, Stamp, Tracked

PARKED = ".parked-"
"""Prefix of the folder that a waiting workspace stands in, at the place of its `task-<name>`."""


@dataclass(frozen=True)
class Layer:
    """What git made of a commit: what is tracked, and by what the file system tells that it is still so."""

    tracked: Tracked
    stamps: Mapping[bytes, Stamp]
    young: Young


@dataclass(frozen=True)
class Pristine:
    """A workspace as it was handed out. All that is needed to see what was done to it is kept here, in memory."""

    git_dir: Path
    base: str
    folder_mode: int  # of each of its folders
    marks: Marks  # theirs, and but for attributes those of its files
    settings: tuple[bytes | None, ...]  # what can make a checkout of the same commit differ
    index: bytes  # digest of its index, which is kept under a second name
    index_ns: int  # when that was written
    handed_ns: int  # when it was handed out, by the file system's clock: whatever has an older ctime is untouched
    index_mode: int
    layer: Layer | None  # None: not known yet, it is read from the index when needed
    kept: tuple[bytes, ...] = ()  # what was there already, of earlier tasks


@dataclass(frozen=True)
class Parked:
    """One that waits: the files of the base and what is to be kept, the index, and nothing of any branch."""

    home: Path
    repo: Path
    git_dir: Path
    pristine: Pristine
    layer: Layer | None  # None: nobody has worked in it
    kept: tuple[bytes, ...]
    mentions: tuple[bytes, ...]  # files and links among those that name the place where it was
    was_at: Path


class Parking:
    """At most so many places; may be used from several threads at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0  # by those that wait, and those that are on their way in
        self._coming = 0  # of the latter, those that were never used: whoever takes one waits for it
        self._takers = 0  # that wait for one
        self._waiting: list[Parked] = []
        self._guard = threading.Condition()

    def reserve(self) -> bool:
        """Whether there is a place; `add` or `give_back` must follow."""
        with self._guard:
            if self._taken >= self._places:
                return False
            self._taken += 1
            return True

    def give_back(self) -> None:
        """The reserved place is not needed."""
        with self._guard:
            self._taken -= 1

    def announce(self) -> bool:
        """Whether there is a place for one that is being made; `arrive` or `miss` must follow."""
        with self._guard:
            if not self.reserve():
                return False
            self._coming += 1
            return True

    def arrive(self, parked: Parked) -> bool:
        """Put the one that was announced on its place; False where the parking was closed meanwhile."""
        with self._guard:
            self._coming -= 1
            self._guard.notify_all()
            return self.add(parked)

    def miss(self) -> None:
        """The one that was announced will not come."""
        with self._guard:
            self._coming -= 1
            self._taken -= 1
            self._guard.notify_all()

    def add(self, parked: Parked) -> bool:
        """Put one on the reserved place; False where the parking was closed meanwhile."""
        with self._guard:
            if not self._places:
                return False
            self._waiting.append(parked)
            self._guard.notify_all()
            return True

    def take(self) -> Parked | None:
        """The one that came last: its base differs least from the next. Where none is there, one that is announced and
        that nobody else waits for is waited for."""
        with self._guard:
            self._takers += 1
            try:
                while self._places and not self._waiting and self._takers <= self._coming:
                    self._guard.wait()
                if not self._waiting:
                    return None
                self._taken -= 1
                return self._waiting.pop()
            finally:
                self._takers -= 1

    def is_open(self) -> bool:
        """Whether one that is made now would be let in."""
        with self._guard:
            return self._places > 0

    def close(self) -> list[Parked]:
        """All that wait; no more are let in, and nobody waits for one."""
        with self._guard:
            waiting, self._waiting, self._places = self._waiting, [], 0
            self._guard.notify_all()
            return waiting


def new_place(root: Path) -> Path:
    """A folder that does not exist yet."""
    return root / f"{PARKED}{uuid.uuid4().hex[:12]}"
