"""Processes that dead runs left: agents, daemons of theirs, tests, set-up, refreshes (W-6).

Whose a process is, its marker says, which it inherited and nobody else has: a random token, the run, the rest. A pid
out of a journal says nothing by itself, since the kernel gives it to others; it is only named where the process with
that pid and that start time may not be looked into.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.model.events import AttemptEnded, AttemptSpawned, AttemptStarting
from maestro.proc.describe import ancestors, can_be_read, owner, program, started_at
from maestro.proc.family import ProcessId, identify, variable_of
from maestro.proc.ladder import descend
from maestro.proc.roles import COORDINATOR
from maestro.store.belonging import is_kept_in
from maestro.store.claims import live_claims
from maestro.store.layout import Layout
from maestro.wiring.clearing import wait_for
from maestro.wiring.orphans.kinds import Cleared, Kind, Orphan, done
from maestro.wiring.orphans.scene import RunFacts, Scene, run_of
from maestro.wiring.orphans.words import cause_of, of_run, role, time_of
from maestro.workspaces.marker import decode_path, marker_above

_ROUNDS = 3
"""Whoever is stopped may have started another with a marker of its own just before."""


class Processes:
    """Live processes with a marker of the run."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {run_id for marker in scene.marked if (run_id := run_of(marker)) is not None}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        ours = set(ancestors(os.getpid()))
        found = [
            _orphan(scene, run, marker, one, is_above=any(other.pid in ours for other in family))
            for marker, family in families(scene, run).items()
            for one in sorted(family)
        ]
        return found + [_unreadable(scene, run, event, one) for event, one in unreadable_agents(run)]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        found = self.find(scene, run)
        for _ in range(_ROUNDS):
            markers = {one.place for one in self.find(scene, run) if not one.stays}
            if not markers:
                break
            for marker in markers:
                if role_of(marker) == COORDINATOR:  # a git of its own: what it does is whole when it ends
                    wait_for(marker)
            asyncio.run(_stop(scene, markers))
            scene.look_again()
        left = {one.pid for family in families(scene, run).values() for one in family}
        gone = [one for one in found if not one.stays and one.pid not in left]
        return done(gone) + [
            Cleared(orphan=one, done=False, failed=True, why=one.stays or "it lives on after SIGKILL")
            for one in found
            if one not in gone
        ]


def families(scene: Scene, run: RunFacts) -> dict[str, list[ProcessId]]:
    """Marker → processes, of the run and of no other run or repository; also those of runs that its agents started in
    their workspaces."""
    here = Path(os.path.realpath(scene.layout.repository))
    marked = {marker: family for marker, family in scene.marked.items() if run_of(marker) == run.run_id}
    tokens = {marker.partition("/")[0] for marker, family in marked.items() if here in _repositories(family)}
    if run.token is not None:
        tokens.add(run.token)
    tokens -= {marker.partition("/")[0] for marker, family in marked.items() if _is_of_another(scene, run, family)}
    found = {marker: family for marker, family in marked.items() if marker.partition("/")[0] in tokens}
    if found:
        scene.ours.add(run.run_id)
    inside = [Path(os.path.realpath(root / run.run_id)) for root in (scene.root, *run.roots)]
    own = {one.pid for family in found.values() for one in family}
    for marker, family in scene.marked.items():
        places = [one for one in _repositories(family) if _is_below(one, inside)] if marker not in found else ()
        if any(_is_in_workspace(scene, run, one) and not _is_anothers(one, marker, own) for one in places):
            found[marker] = family
    return found


def _is_in_workspace(scene: Scene, run: RunFacts, place: Path) -> bool:
    """Whether it is in a workspace of this very run: another repository may have one of that name below the root."""
    try:
        marker = marker_above(place)
    except WorkspaceError:
        return False
    return (
        marker is not None and marker.run_id == run.run_id and decode_path(marker.common_dir) == scene.git.common_dir()
    )


def _is_anothers(repository: Path, marker: str, own: Collection[int]) -> bool:
    """Whether the run in there has a coordinator that lives and was not begun by the agents, but by the user."""
    inner = run_of(marker)
    return inner is not None and any(
        held["run_id"] == inner and held["pid"] not in own for held in live_claims(Layout(repository).locks)
    )


def _is_of_another(scene: Scene, run: RunFacts, family: Iterable[ProcessId]) -> bool:
    """Whether they were started for another repository that has the run: this one is a copy of it, or it of this."""
    return any(is_kept_in(one, run.run_id, scene.layout) for one in _repositories(family))


def _repositories(family: Iterable[ProcessId]) -> set[Path]:
    """Where they were told that their run is kept."""
    said = {variable_of(one.pid, "MAESTRO_REPOSITORY") for one in family}
    return {Path(os.path.realpath(one)) for one in said if one}


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def role_of(marker: str) -> str:
    """What comes after token and run, up to the next slash."""
    return marker.split("/", 3)[2]


def _orphan(scene: Scene, run: RunFacts, marker: str, one: ProcessId, *, is_above: bool) -> Orphan:
    who, task = role(marker.split("/", 2)[2], run.names)
    if (inner := run_of(marker)) != run.run_id:
        who, task = f"{who} of run {inner} inside of a workspace", None
    foreign = owner(one.pid)
    stays = "this very command was started by it: call it from outside" if is_above else ""
    if not stays and foreign is not None and os.geteuid() != 0:
        stays = f"it belongs to {foreign}, whose processes may not be signalled"
    return Orphan(
        kind=Kind.PROCESS,
        what=f"process {one.pid} ({program(one.pid)})",
        reason=f"started {time_of(started_at(one), scene.now)} by {who} {of_run(run)}",
        cause=cause_of(run),
        run_id=run.run_id,
        task=task,
        place=marker,
        pid=one.pid,
        stays=stays,
    )


def unreadable_agents(run: RunFacts) -> Iterator[tuple[AttemptSpawned, ProcessId]]:
    """Agents of attempts without an end whose very process is alive and whose marker cannot be read."""
    over = {event.attempt_id for event in run.events if isinstance(event, AttemptEnded)}
    known = {event.attempt_id for event in run.events if isinstance(event, AttemptStarting)}
    for event in run.events:
        if isinstance(event, AttemptSpawned) and event.attempt_id in known - over:
            one = identify(event.pid)
            if one is not None and abs(one.started - event.pid_started) < 0.005 and not can_be_read(one.pid):
                yield event, one


def _unreadable(scene: Scene, run: RunFacts, event: AttemptSpawned, one: ProcessId) -> Orphan:
    who = owner(one.pid) or "this user"
    _, _, rest = event.attempt_id.split("/", 2)
    return Orphan(
        kind=Kind.PROCESS,
        what=f"process {one.pid} ({program(one.pid)})",
        reason=f"started {time_of(started_at(one), scene.now)} by {role(rest, run.names)[0]} {of_run(run)}",
        cause=cause_of(run),
        run_id=run.run_id,
        task=event.task,
        place=event.attempt_id,
        pid=one.pid,
        stays=f"it belongs to {who} and its marker cannot be read: end it as {who}",
    )


async def _stop(scene: Scene, markers: Iterable[str]) -> None:
    await asyncio.gather(*(descend(marker, graces=scene.graces) for marker in markers))
