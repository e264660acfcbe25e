"""beads by the real `bd` (T-1): 0.47 to 0.49 and 1.x.

One process at a time writes, every write is read back, and what a person did meanwhile stands. The parts: `place` finds
the database, `client` is the one door to bd, `database` knows what was last read, `claiming`, `writing`, `epics` and
`discovering` change it, `tasks` makes tasks of issues.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from maestro.clock import SystemClock
from maestro.errors import BadInput, TrackerError
from maestro.model.report import Discovery
from maestro.model.task import Progress, Task
from maestro.trackers.base import Note, Writing
from maestro.trackers.beads import claiming, discovering, place, tasks, writing
from maestro.trackers.beads.client import Bd
from maestro.trackers.beads.database import Database
from maestro.trackers.beads.standing import actor_of
from maestro.trackers.beads.turn import Turn

TIMEOUT_SECONDS = 60.0
LOCK_SECONDS = 120.0


class Beads:
    """The issues of one beads database.

    `beads_dir` None: BEADS_DIR of `environ`, else the `.beads` of the main checkout. `runs_alive` says False of a run
    that is known to be dead: what it left in progress may be claimed. Without it, every run counts as alive.
    """

    kind = "beads"

    def __init__(
        self,
        repository: Path,
        beads_dir: Path | None,
        environ: Mapping[str, str],
        *,
        runs_alive: Callable[[str], bool] | None = None,
        timeout_seconds: float | None = None,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        checkout = place.main_checkout(repository, environ)
        self.folder = place.find(checkout, beads_dir, environ)
        self.identity = f"{self.kind}:{self.folder}"
        limit = timeout_seconds or TIMEOUT_SECONDS * (2 if place.is_served(self.folder) else 1)
        bd = Bd(self.folder, checkout, environ, timeout_seconds=limit, lock_seconds=lock_seconds)
        self._db = Database(bd)
        self._turn = Turn(self.folder, timeout_seconds=2 * lock_seconds)
        self._runs_alive = runs_alive
        self._actors: dict[str, str] = {}  # who asked for a task: one tracker may serve several runs

    def load(self) -> list[Task]:
        """The tasks of the whole database, by one bulk read, in the order in which they were created."""
        hierarchy = self._db.load()
        return tasks.tasks_of(hierarchy, is_dead=self._is_dead, now=SystemClock().now())

    def selected(self, epic: str | None, labels: Sequence[str]) -> frozenset[str]:
        """The tasks below an epic that have all the labels, of what was loaded. BadInput for an unknown epic."""
        return tasks.selected(self._db.hierarchy, epic, labels)

    def claim(self, task: str, note: Note) -> None:
        """Claim one task; TrackerError where it cannot be had."""
        _raise(task, self.claim_many({task: note}))

    def write(self, task: str, progress: Progress, note: Note) -> None:
        """Write one task; TrackerError where that cannot be done."""
        _raise(task, self.write_many([Writing(task=task, progress=progress, note=note)]))

    def claim_many(self, claims: Mapping[str, Note]) -> Mapping[str, str]:
        """Claim tasks; those refused, each with a clause."""
        with self._writing():
            refused = claiming.claim(self._db, claims, is_dead=self._is_dead)
        # also where it is refused: what a resumed run finds to be another's is still worked on for it
        self._actors |= {task: actor_of(note.run_id) for task, note in claims.items()}
        return refused

    def write_many(self, writes: Sequence[Writing]) -> Mapping[str, str]:
        """Write tasks; those that could not be written, each with a clause."""
        begun = {one.task: one.note for one in writes if one.progress is Progress.IN_PROGRESS}
        with self._writing():
            refused = claiming.claim(self._db, begun, is_dead=self._is_dead) if begun else {}
            rest = [one for one in writes if one.task not in begun]
            return refused | (writing.write(self._db, rest, is_dead=self._is_dead) if rest else {})

    def taken(self, tasks: Collection[str]) -> Mapping[str, str]:
        """Of tasks claimed here, those that somebody has closed or taken since."""
        return claiming.taken_from(self._db, tasks, self._actors)

    def discover(self, task: str, found: Sequence[Discovery], note: Note) -> tuple[str, ...]:
        """Create what the agent of `task` discovered; the ids, in order."""
        with self._writing():
            return discovering.discover(self._db, task, found, note)

    def own_files(self) -> tuple[str, ...]:
        """The `.beads` folder: bd writes there, and people and agents who use it do."""
        return (str(self.folder),)

    def agent_env(self) -> Mapping[str, str]:
        """bd refuses to write for an agent: one that closed its own issue would look like a person who did.

        It reads this database, in clones as well: 0.47 would start a daemon in each workspace, and where only the
        issues are in git, it recurses until its stack is full.
        """
        return {"BD_READONLY": "true", "BEADS_DIR": str(self.folder), "BEADS_NO_DAEMON": "1"}

    def _is_dead(self, run_id: str) -> bool:
        return self._runs_alive is not None and not self._runs_alive(run_id)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Our turn, and bad input said as the one error that a write may raise."""
        try:
            with self._turn.taken():
                yield
        except BadInput as error:
            raise TrackerError(error.message, hint=error.hint) from error


def _raise(task: str, refused: Mapping[str, str]) -> None:
    if task in refused:
        raise TrackerError(f"{task}: {refused[task]}")
