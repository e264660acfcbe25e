"""What the tracker still holds for dead runs: claims, and landings it was not told of. The next run over the same
backlog does the same (wiring/takeover.py); nobody has to wait for it."""

from __future__ import annotations

from collections.abc import Iterable

from maestro.errors import MaestroError, TrackerError
from maestro.store.blueprint import read_blueprint
from maestro.trackers.base import Tracker
from maestro.wiring.backlog import open_backlog
from maestro.wiring.orphans.kinds import Cleared, Kind, Orphan, done, failed
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.words import cause_of, the_run
from maestro.wiring.takeover import owed, take_over_run
from maestro.wiring.untold import is_taken_over

_LATER = "the next `maestro run` over this backlog does it"


class TrackerClaims:
    """Tasks that are in progress for the run, and landed ones that are open."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {
            run_id
            for run_id in scene.known_runs()
            if not scene.layout.summary(run_id).exists() and not is_taken_over(scene.layout, run_id)
        }

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        if run.standing is not Standing.UNFINISHED or is_taken_over(scene.layout, run.run_id):
            return []
        untold, held = owed(scene.git, run.events)
        landed = [_orphan(run, task, f"it landed in {the_run(run)}, before the tracker was told") for task in untold]
        claimed = [_orphan(run, task, f"held for {the_run(run)}") for task in held if task not in untold]
        return landed + claimed

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        found = self.find(scene, run)
        if not found:
            return []
        try:
            tracker = _open(scene, run)
            take_over_run(scene.git, scene.layout, tracker, run.run_id)
        except MaestroError as error:
            return failed(found, f"{error.message}; {_LATER}")
        return done(found)


def _open(scene: Scene, run: RunFacts) -> Tracker:
    """The tracker that the run had."""
    blueprint = read_blueprint(scene.layout.blueprint(run.run_id))
    tracker, _ = open_backlog(
        scene.git, blueprint.settings, standard_input=blueprint.standard_input, environ=scene.environ
    )
    if tracker.identity != run.backlog:
        raise TrackerError(f"its backlog {run.backlog} is not there any more")
    return tracker


def _orphan(run: RunFacts, task: str, why: str) -> Orphan:
    return Orphan(
        kind=Kind.TRACKER,
        what=f"task {task} in the tracker",
        reason=why,
        cause=cause_of(run),
        run_id=run.run_id,
        task=task,
        place=run.backlog,
    )
