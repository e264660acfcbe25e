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
    layer: Layer
    kept: tuple[bytes, ...]
    mentions: tuple[bytes, ...]  # files and links among those that name the place where it was
    was_at: Path


class Parking:
    """At most so many places; may be used from several threads at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0  # by those that wait, and those that are on their way in
        self._waiting: list[Parked] = []
        self._guard = threading.Lock()

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

    def add(self, parked: Parked) -> bool:
        """Put one on the reserved place; False where the parking was closed meanwhile."""
        with self._guard:
            if not self._places:
                return False
            self._waiting.append(parked)
            return True

    def take(self) -> Parked | None:
        """The one that came last: its base differs least from the next."""
        with self._guard:
            if not self._waiting:
                return None
            self._taken -= 1
            return self._waiting.pop()

    def close(self) -> list[Parked]:
        """All that wait; no more are let in."""
        with self._guard:
            waiting, self._waiting, self._places = self._waiting, [], 0
            return waiting


def new_place(root: Path) -> Path:
    """A folder that does not exist yet."""
    return root / f"{PARKED}{uuid.uuid4().hex[:12]}"
