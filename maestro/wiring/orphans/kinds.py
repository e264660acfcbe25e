"""What a dead run can leave, as values, and what each kind of it must be able to do.

A new kind (a lease, say) is a class with the shape of `Leftovers`, a word in `Kind`, and a place in `EVERYTHING` of
find.py, which is in the order of the acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from maestro.wiring.orphans.scene import RunFacts, Scene


class Kind(StrEnum):
    """What it is."""

    PROCESS = "process"
    WORKSPACE = "workspace"
    HALF_REMOVED = "half_removed"  # a workspace that was being removed
    BRANCH = "branch"
    GIT_LOCK = "git_lock"  # of one of the run's refs; the git that made it is gone
    TEMPORARY = "temporary"  # a file that was being written
    EMPTY_FOLDER = "empty_folder"
    TRACKER = "tracker"  # what the tracker was not told
    PORT_LEASE = "port_lease"
    CLAIM = "claim"  # the file that a run holds its tasks by
    SAVED_REF = "saved_ref"  # work that did not land, kept longer than the user wants
    RUN_FOLDER = "run_folder"  # of a run that landed all, kept longer than the user wants


class Cause(StrEnum):
    """Why nobody needs it any more; few words, for counting by."""

    COORDINATOR_DIED = "coordinator_died"
    RUN_ENDED = "run_ended"
    RUN_GONE = "run_gone"  # the folder of the run is not there any more
    WRITER_DIED = "writer_died"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Orphan:
    """One thing that is left. `what` and `reason` make a sentence. Names may hold bytes that are no text."""

    kind: Kind
    what: str
    reason: str
    cause: Cause
    run_id: str = ""
    task: str | None = None
    place: str = ""  # path, ref or marker
    pid: int | None = None
    size_bytes: int = 0
    stays: str = ""  # why it is not touched, whatever is asked


@dataclass(frozen=True)
class Cleared:
    """What became of one. Neither done nor failed: it turned out that somebody needs it."""

    orphan: Orphan
    done: bool
    failed: bool = False
    why: str = ""  # where it is not done
    saved_ref: str | None = None


class Leftovers(Protocol):
    """One kind of thing that runs leave."""

    def runs(self, scene: Scene) -> Iterable[str]:
        """Names of runs that may have left something of this kind; some may not be dead, or not ours."""
        ...

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        """What this dead run left. Changes nothing."""
        ...

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        """Find it again and do away with it, while nobody else can take up the run. MaestroError and OSError may come
        out of here: the rest is cleared all the same."""
        ...


def done(orphans: Iterable[Orphan]) -> list[Cleared]:
    """All of them were dealt with."""
    return [Cleared(orphan=one, done=True) for one in orphans]


def failed(orphans: Sequence[Orphan], why: str) -> list[Cleared]:
    """None of them could be."""
    return [Cleared(orphan=one, done=False, failed=True, why=one.stays or why) for one in orphans]
