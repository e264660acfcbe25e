"""All that dead runs of a repository left, with the reason for each (W-6). Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from maestro.errors import MaestroError
from maestro.model.ids import is_plain
from maestro.wiring.orphans.branches import Branches
from maestro.wiring.orphans.files import Claims, GitLocks, Temporaries, shared_temporaries
from maestro.wiring.orphans.kinds import Leftovers, Orphan
from maestro.wiring.orphans.leases import PortLeases
from maestro.wiring.orphans.processes import Processes
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.tracker import TrackerClaims
from maestro.wiring.orphans.workspaces import EmptyFolders, HalfRemoved, Workspaces

EVERYTHING: tuple[Leftovers, ...] = (
    Processes(),  # first: who writes in a workspace must not do so while it is saved
    PortLeases(),  # after those who work with the ports
    GitLocks(),  # or nothing can be saved
    HalfRemoved(),  # makes room
    Workspaces(),
    Branches(),  # after the work in workspaces is saved
    Temporaries(),
    TrackerClaims(),
    EmptyFolders(),
)
"""What one run can leave, in the order in which it is cleared. Claims are apart: they are what holds the run."""

UNTOUCHED = frozenset({Standing.LIVE, Standing.ELSEWHERE})


@dataclass
class Findings:
    """What there is, and of which runs."""

    orphans: list[Orphan] = field(default_factory=list)
    runs: list[RunFacts] = field(default_factory=list)  # those that left something
    problems: list[str] = field(default_factory=list)  # what could not be looked at
    spared: list[str] = field(default_factory=list)  # runs of somewhere else


def find_orphans(scene: Scene, only: str | None = None) -> Findings:
    """Everything of every dead run, or of one run; what could not be looked at is said, and the rest found."""
    findings = Findings()
    for run_id in candidates(scene, only):
        run = scene.facts(run_id)
        if run.standing is Standing.ELSEWHERE:
            findings.spared.append(spared_words(scene, run_id))
        if run.standing in UNTOUCHED:
            continue
        found = []
        for kind in (*EVERYTHING, Claims()):
            try:
                found += kind.find(scene, run)
            except (MaestroError, OSError) as error:
                findings.problems.append(f"run {run_id}: {error}")
        if found:
            findings.runs.append(run)
            findings.orphans += found
    if only is None:
        try:
            findings.orphans += shared_temporaries(scene)
        except (MaestroError, OSError) as error:
            findings.problems.append(str(error))
    return findings


def spared_words(scene: Scene, run_id: str) -> str:
    """Why a run that may have left something is nobody's business here, as a clause."""
    return f"{scene.elsewhere.words(run_id) or f'run {run_id} is under way'}: it was left alone"


def candidates(scene: Scene, only: str | None) -> list[str]:
    """Names of runs that may have left something, by name."""
    named = {run_id for kind in (*EVERYTHING, Claims()) for run_id in kind.runs(scene)}
    return sorted(run_id for run_id in named if is_plain(run_id) and only in (None, run_id))
