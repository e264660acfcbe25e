"""Does away with what dead runs left: processes first, then what they worked in (W-6).

Each run is held by its own lock meanwhile, the one that its coordinator would hold: a resume of that very moment is
refused in words, and a run that was resumed before is left alone. Whatever is met is found again under the lock. Each
act may be broken off at any point: what is left is found by the next call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from maestro.clock import as_z
from maestro.errors import Busy, MaestroError
from maestro.store.board import mask_board
from maestro.store.claims import Claim, hold_dead
from maestro.store.masking import MASKED_WHEN_WRITTEN, mask_folder
from maestro.wiring.orphans.files import Claims, clear_shared
from maestro.wiring.orphans.find import EVERYTHING, UNTOUCHED, candidates, spared_words
from maestro.wiring.orphans.kinds import Cleared, Orphan, done
from maestro.wiring.orphans.processes import families
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.workspaces import Workspaces
from maestro.wiring.retention import note_saving


@dataclass
class Result:
    """What was done."""

    cleared: list[Cleared] = field(default_factory=list)
    runs: list[RunFacts] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # each is a failure
    spared: list[str] = field(default_factory=list)  # runs of somewhere else, or taken up since they were looked at


def clear_orphans(scene: Scene, only: str | None = None) -> Result:
    """Clear everything of every dead run, or of one run; what cannot be cleared is said, and the rest done."""
    result = Result()
    for run_id in candidates(scene, only):
        run = scene.facts(run_id)
        if run.standing is Standing.ELSEWHERE:
            result.spared.append(spared_words(scene, run_id))
        elif run.standing is not Standing.LIVE and _has_left(scene, run):
            _clear_run(scene, run_id, result)
    if only is None:
        try:
            result.cleared += clear_shared(scene)
        except (MaestroError, OSError) as error:
            result.problems.append(str(error))
    return result


def _has_left(scene: Scene, run: RunFacts) -> bool:
    """Whether it is worth taking its lock; also where that cannot be said."""
    try:
        return any(kind.find(scene, run) for kind in (*EVERYTHING, Claims()))
    except (MaestroError, OSError):
        return True


def _clear_run(scene: Scene, run_id: str, result: Result) -> None:
    facts = scene.facts(run_id)
    claims = _claims(scene, facts)
    try:
        held = _hold(scene, facts)
    except Busy as busy:
        result.spared.append(f"{busy.message}: it was left alone")
        return
    except MaestroError as error:
        result.problems.append(f"run {run_id}: {error.message}")
        return
    try:
        scene.look_again()
        run = scene.facts(run_id, held=True)
        if run.standing in UNTOUCHED:
            result.spared.append(spared_words(scene, run_id))
            return
        result.runs.append(run)
        if run.standing is Standing.ENDED and Workspaces().find(scene, run):
            note_saving(scene.layout, run_id, scene.now)
        cleared = _clear_held(scene, run, result.problems)
    finally:
        held.release()
    result.cleared += cleared + done(claims)


def _clear_held(scene: Scene, run: RunFacts, problems: list[str]) -> list[Cleared]:
    cleared: list[Cleared] = []
    for kind in EVERYTHING:
        try:
            cleared += kind.clear(scene, run)
        except (MaestroError, OSError) as error:
            problems.append(f"run {run.run_id}: {error}")
    try:
        if not families(scene, run):  # nobody writes any more, and nobody has looked for secrets in what was written
            mask_folder(scene.layout.run(run.run_id), scene.redactor, MASKED_WHEN_WRITTEN)
            mask_board(scene.layout.board(run.run_id), scene.redactor)
    except (MaestroError, OSError) as error:
        problems.append(f"run {run.run_id}: {error}")
    return cleared


def _hold(scene: Scene, run: RunFacts) -> Claim:
    since = as_z(scene.now)
    tasks = list(run.names.values())
    return hold_dead(scene.layout.locks, run_id=run.run_id, since=since, backlog=run.backlog, tasks=tasks)


def _claims(scene: Scene, run: RunFacts) -> list[Orphan]:
    """What goes with the lock when it is let go."""
    try:
        return Claims().find(scene, run)
    except (MaestroError, OSError):
        return []


def counts(orphans: Iterable[Orphan]) -> dict[str, int]:
    """How many for each cause: `agent_orphan_cleanup_count{reason}`."""
    found: dict[str, int] = {}
    for one in orphans:
        found[one.cause.value] = found.get(one.cause.value, 0) + 1
    return dict(sorted(found.items()))
