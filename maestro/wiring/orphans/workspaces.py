"""Workspaces that dead runs left: worktrees, clones and copies, emptied ones that waited, half-removed ones (W-6)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from maestro.errors import MaestroError, WorkspaceError
from maestro.model.ids import is_plain
from maestro.wiring.orphans.kinds import Cleared, Kind, Orphan, done
from maestro.wiring.orphans.processes import families, unreadable_agents
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.words import cause_of, of_run, size
from maestro.workspaces.janitor import Found, WorkspaceState, clean, half_removed, list_workspaces
from maestro.workspaces.marker import Marker, decode_path, read_marker
from maestro.workspaces.remains import clear_remains
from maestro.workspaces.removal import remove_tree

_NEEDS = {
    WorkspaceState.LANDED: "nothing is in it that is not on a branch",
    WorkspaceState.PARKED: "emptied, it waited for its next task",
    WorkspaceState.UNLANDED: "its work has not landed and is saved first",
}


class Workspaces:
    """Those with the run's marker."""

    def runs(self, scene: Scene) -> Iterable[str]:
        named = {marker.run_id for _, marker in _marked(scene, scene.root)}
        return {run_id for run_id in named if is_plain(run_id)}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        return [_orphan(run, one) for root in roots(scene, run) for one in _found(scene, run, root)]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        """Those that hold no work first: what they free may be what saving the others needs."""
        cleared: list[Cleared] = []
        for root in roots(scene, run):
            free = {WorkspaceState.LANDED, WorkspaceState.PARKED}
            cleared += _clear(scene, run, root, [one for one in _found(scene, run, root) if one.state in free])
            done_with = {one.orphan.place for one in cleared}
            cleared += _clear(
                scene, run, root, [one for one in _found(scene, run, root) if str(one.home) not in done_with]
            )
            if run.standing is Standing.UNFINISHED and not _is_shared(scene, root / run.run_id):
                clear_remains(scene.git, root / run.run_id, run.run_id)
            with contextlib.suppress(OSError):
                (root / run.run_id).rmdir()  # only where it is empty
        return cleared


class HalfRemoved:
    """Folders on their way out. They may have lost their marker already; whose they are, the folder of the run says."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {one.parent.name for folder in _folders(scene.root) for one in half_removed(folder)}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        return [
            Orphan(
                kind=Kind.HALF_REMOVED,
                what=str(one),
                reason=f"what is left of a workspace {of_run(run)}, that was being removed",
                cause=cause_of(run),
                run_id=run.run_id,
                place=str(one),
            )
            for root in roots(scene, run)
            if run.standing is not Standing.GONE and not _is_shared(scene, root / run.run_id)
            for one in half_removed(root / run.run_id)
        ]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        return [_removed(one) for one in self.find(scene, run)]


class EmptyFolders:
    """Folders of a run that died in which nothing is any more."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {folder.name for folder in (*_folders(scene.root), *_folders(scene.layout.runs)) if _is_empty(folder)}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        if run.standing is not Standing.UNFINISHED:
            return []
        candidates = [root / run.run_id for root in roots(scene, run)] + [scene.layout.run(run.run_id)]
        return [
            Orphan(
                kind=Kind.EMPTY_FOLDER,
                what=str(folder),
                reason=f"an empty folder {of_run(run)}",
                cause=cause_of(run),
                run_id=run.run_id,
                place=str(folder),
            )
            for folder in candidates
            if _is_empty(folder)
        ]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        found = self.find(scene, run)
        for one in found:
            Path(one.place).rmdir()  # refuses where something has come into it
        return done(found)


def roots(scene: Scene, run: RunFacts) -> list[Path]:
    """Folders that may hold workspaces of the run, each once."""
    return sorted({Path(os.path.realpath(root)) for root in (scene.root, *run.roots)})


def _found(scene: Scene, run: RunFacts, root: Path) -> list[Found]:
    ending = [one.pid for family in families(scene, run).values() for one in family]
    landed = {(run.run_id, name) for name in run.landed}
    found = list_workspaces(scene.git, root, landed=landed, run_id=run.run_id, ending=ending)
    hidden = {event.task: one.pid for event, one in unreadable_agents(run)}
    found = tuple(_in_use(one, hidden[one.task_id]) if one.task_id in hidden else one for one in found)
    if any(one.kind for one in found):  # its marker could be read
        scene.ours.add(run.run_id)
    if run.standing is Standing.ENDED and (run.keeps_workspaces or run.resumable):
        return [one for one in found if one.state is WorkspaceState.PARKED]  # the others were left on purpose
    return list(found)


def _in_use(one: Found, pid: int) -> Found:
    return one.evolve(state=WorkspaceState.LIVE, reason=f"process {pid} works in it, which nobody here can end")


def _orphan(run: RunFacts, one: Found) -> Orphan:
    is_mine = one.state in _NEEDS
    task = one.task_id if is_mine and one.state is not WorkspaceState.PARKED else ""
    named = "loan of your checkout" if one.kind == "none" else one.kind or "workspace"
    parts = [f"the {named} of task {task} {of_run(run)}" if task else f"a {named} {of_run(run)}", size(one.size_bytes)]
    why = _NEEDS.get(one.state)
    return Orphan(
        kind=Kind.WORKSPACE,
        what=str(one.home),
        reason="; ".join([*parts, why] if why else parts),
        cause=cause_of(run),
        run_id=run.run_id,
        task=task or None,
        place=str(one.home),
        size_bytes=one.size_bytes,
        stays="" if is_mine else (one.reason or "it is in use"),
    )


def _clear(scene: Scene, run: RunFacts, root: Path, found: list[Found]) -> list[Cleared]:
    cleared = []
    for one, result in zip(found, clean(scene.git, root, found, force=True), strict=True):
        orphan = _orphan(run, one)
        cleared.append(
            Cleared(
                orphan=orphan,
                done=result.removed,
                failed=not result.removed,
                why="" if result.removed else result.reason,
                saved_ref=result.saved_ref,
            )
        )
    return cleared


def _removed(one: Orphan) -> Cleared:
    try:
        remove_tree(Path(one.place))
    except MaestroError as error:
        return Cleared(orphan=one, done=False, failed=True, why=error.message)
    return Cleared(orphan=one, done=True)


def _marked(scene: Scene, root: Path) -> Iterator[tuple[Path, Marker]]:
    """Workspaces of this repository below the root, by their marker alone; those that cannot be read are left out."""
    common_dir = scene.git.common_dir()
    for folder in (root, *_folders(root)):
        for home in _folders(folder):
            try:
                marker = read_marker(home)
            except WorkspaceError:
                continue
            if marker is not None and decode_path(marker.common_dir) == common_dir:
                yield home, marker


def _is_shared(scene: Scene, folder: Path) -> bool:
    """Whether another repository has a workspace in the folder: a run of the same name, below the same root."""
    common_dir = scene.git.common_dir()
    for home in _folders(folder):
        try:
            marker = read_marker(home)
        except WorkspaceError:
            return True
        if marker is not None and decode_path(marker.common_dir) != common_dir:
            return True
    return False


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return []


def _is_empty(folder: Path) -> bool:
    try:
        return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
    except OSError:
        return False
