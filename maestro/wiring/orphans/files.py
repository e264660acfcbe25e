"""Files that dead processes left: claims of runs, and what was being written (W-6)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from maestro.errors import StateError
from maestro.model.events import RunResumed, RunStarted
from maestro.model.ids import is_plain
from maestro.proc.describe import writers_of
from maestro.proc.family import identify
from maestro.store.atomic import writer_of
from maestro.store.filelocks import is_held, locked
from maestro.wiring.clearing import locks_of_refs
from maestro.wiring.orphans.kinds import Cause, Cleared, Kind, Orphan, done
from maestro.wiring.orphans.processes import families
from maestro.wiring.orphans.scene import RunFacts, Scene, Standing
from maestro.wiring.orphans.words import cause_of, of_run
from maestro.workspaces.janitor import half_removed
from maestro.workspaces.removal import remove_tree

_BACKGROUND = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(json|log)")
"""What a run in the background says before it has a folder (maestro.background)."""


class Temporaries:
    """Files in the run's folder that were being written when their writer died."""

    def runs(self, scene: Scene) -> Iterable[str]:
        """Every run with a folder would have to be looked into: those that did not end are enough, and they have a
        claim or something else."""
        return {run_id for run_id in scene.known_runs() if not scene.layout.summary(run_id).exists()}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        folder = scene.layout.run(run.run_id)
        delegate = scene.layout.delegate(run.run_id)
        return [*_left_in(run.run_id, folder, delegate, delegate / "offers"), *_beside_backlog(scene, run)]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        return _unlink(self.find(scene, run))


def _beside_backlog(scene: Scene, run: RunFacts) -> Iterator[Orphan]:
    """The user's own folder: only what this very run's coordinator was writing in the place of the backlog's file."""
    _, _, source = run.backlog.partition(":")
    if not source:
        return
    file = scene.layout.repository / source.partition("#")[0]
    coordinators = {(one.pid, one.pid_started) for one in run.events if isinstance(one, RunStarted | RunResumed)}
    for one in _left_in(run.run_id, file.parent):
        name = Path(one.place).name
        if name.startswith(f".{file.name[:64]}.") and writer_of(name) in coordinators:
            yield one


class GitLocks:
    """Lock files of the run's own refs, once none of its processes is alive: a git that was killed never takes them
    away, and no other moves that ref."""

    def runs(self, scene: Scene) -> Iterable[str]:
        common = scene.git.common_dir()
        return {run_id for run_id in scene.known_runs() if locks_of_refs(common, run_id)}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        if run.standing is Standing.GONE or families(scene, run):
            return []
        locks = locks_of_refs(scene.git.common_dir(), run.run_id)
        held = writers_of({os.path.realpath(lock) for lock in locks})
        return [
            Orphan(
                kind=Kind.GIT_LOCK,
                what=str(lock),
                reason=f"the lock of a ref {of_run(run)}; no process has it open",
                cause=cause_of(run),
                run_id=run.run_id,
                place=str(lock),
            )
            for lock in locks
            if os.path.realpath(lock) not in held
        ]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        return _unlink(self.find(scene, run))


def shared_temporaries(scene: Scene) -> list[Orphan]:
    """The same in folders that runs share, and what was left of starts in the background."""
    layout = scene.layout
    groups = [Path(entry) for entry in _entries(layout.groups) if entry.is_dir(follow_symlinks=False)]
    found = list(_left_in("", layout.root, layout.progress, layout.locks, layout.groups, *groups))
    starts = {entry.path: match[1] for entry in _entries(layout.runs) if (match := _BACKGROUND.fullmatch(entry.name))}
    writing = writers_of({os.path.realpath(path) for path in starts})
    found += [
        Orphan(
            kind=Kind.TEMPORARY,
            what=path,
            reason=f"what run {run_id} said when it began in the background; no process has it open",
            cause=Cause.WRITER_DIED,
            run_id=run_id,
            place=path,
        )
        for path, run_id in sorted(starts.items())
        if os.path.realpath(path) not in writing and not (is_plain(run_id) and scene.is_live(run_id))
    ]
    return found + [
        Orphan(
            kind=Kind.RUN_FOLDER,
            what=str(folder),
            reason="what is left of the folder of a run that was being removed",
            cause=Cause.EXPIRED,
            place=str(folder),
        )
        for folder in half_removed(layout.runs)
    ]


def clear_shared(scene: Scene) -> list[Cleared]:
    """Do away with them."""
    found = shared_temporaries(scene)
    folders = [one for one in found if one.kind is Kind.RUN_FOLDER]
    for one in folders:
        remove_tree(Path(one.place))
    return _unlink([one for one in found if one.kind is not Kind.RUN_FOLDER]) + done(folders)


class Claims:
    """`locks/live/<run>.json` that no process holds."""

    def runs(self, scene: Scene) -> Iterable[str]:
        return {path.stem for path in (scene.layout.locks / "live").glob("*.json")}

    def find(self, scene: Scene, run: RunFacts) -> list[Orphan]:
        path = scene.layout.locks / "live" / f"{run.run_id}.json"
        if not path.exists() or is_held(path):
            return []
        return [
            Orphan(
                kind=Kind.CLAIM,
                what=str(path),
                reason=f"the claim {of_run(run)}, on its tasks: no process holds it",
                cause=cause_of(run),
                run_id=run.run_id,
                place=str(path),
            )
        ]

    def clear(self, scene: Scene, run: RunFacts) -> list[Cleared]:
        """Where the run's lock is ours, its file goes when we let go of it."""
        with locked(scene.layout.locks / "claim.lock"):
            return _unlink(self.find(scene, run))


def _left_in(run_id: str, *folders: Path) -> Iterator[Orphan]:
    for folder in folders:
        for entry in _entries(folder):
            writer = writer_of(entry.name)
            if writer is None or not entry.is_file(follow_symlinks=False):
                continue
            alive = identify(writer[0])
            if alive is None or abs(alive.started - writer[1]) >= 0.005:
                yield Orphan(
                    kind=Kind.TEMPORARY,
                    what=entry.path,
                    reason=f"process {writer[0]} was writing it and is gone",
                    cause=Cause.WRITER_DIED,
                    run_id=run_id,
                    place=entry.path,
                )


def _unlink(found: Iterable[Orphan]) -> list[Cleared]:
    cleared = []
    for one in found:
        try:
            Path(one.place).unlink(missing_ok=True)
        except OSError as error:
            cleared.append(Cleared(orphan=one, done=False, failed=True, why=(error.strerror or str(error)).lower()))
        else:
            cleared.append(Cleared(orphan=one, done=True))
    return cleared


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(f"{folder} cannot be read: {error.strerror}") from error
