"""Finding and clearing what runs leave behind; nothing goes that is not landed or saved (W-6)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from maestro.errors import MaestroError, WorkspaceError
from maestro.model.record import Record
from maestro.proc.describe import program
from maestro.store.filelocks import locked
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_refs, parse_worktrees
from maestro.workspaces.base import GATE_BENCH
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.marker import Marker, decode_path, read_marker
from maestro.workspaces.parking import PARKED
from maestro.workspaces.processes import standing
from maestro.workspaces.registry import KINDS
from maestro.workspaces.removal import REMOVING, remove_tree
from maestro.workspaces.saving import saved_refs
from maestro.workspaces.site import LOCK, survey


class WorkspaceState(StrEnum):
    """What may be done with a workspace."""

    LIVE = "live"  # its run goes on, or a process works in it: never touched
    LANDED = "landed"  # all of its work is on a branch of the user's
    PARKED = "parked"  # empty: it waited for a run that is gone
    UNLANDED = "unlanded"  # there is work that only it holds
    UNKNOWN = "unknown"  # its marker or its repository cannot be read


class Found(Record):
    """A workspace on disk."""

    home: Path
    state: WorkspaceState
    run_id: str = ""
    task_id: str = ""
    task_name: str = ""
    kind: str = ""
    branch: str = ""
    size_bytes: int = 0
    reason: str = ""  # why the state is unknown, or live


class Cleaned(Record):
    """What was done with one workspace, or would be."""

    home: Path
    state: WorkspaceState
    removed: bool  # with a dry run: would be
    size_bytes: int = 0
    saved_ref: str | None = None
    reason: str = ""  # why it stays


def list_workspaces(
    git: Git,
    root: Path,
    *,
    live_runs: Collection[str] = (),
    landed: Collection[tuple[str, str]] = (),
    run_id: str | None = None,
    ending: Collection[int] = (),
) -> tuple[Found, ...]:
    """Every workspace of this repository below `root`, straight in it or one folder (the run's) deeper.

    `live_runs` are runs whose coordinator lives; `landed` names (run, task name) known to have landed in a way
    that ancestry does not show, such as a squash. With `run_id`, those of this run alone. A workspace is not in use
    by the pids that are `ending`.
    """
    look = _Look(git, live_runs, landed, ending)
    found = [look.describe(home) for home in _homes(root, run_id) if run_id is None or _is_of(home, run_id)]
    return tuple(one for one in found if one is not None)


def clean(
    git: Git, root: Path, found: Iterable[Found], *, dry_run: bool = False, force: bool = False
) -> tuple[Cleaned, ...]:
    """Remove the landed and parked ones, with `force` the unlanded ones too; what only they hold is saved first."""
    kinds = _Kinds(git)
    return tuple(_clean_one(kinds, root, one, dry_run=dry_run, force=force) for one in found)


def sweep_rubbish(root: Path) -> int:
    """Remove what a crash left of workspaces that were being removed straight in `root`, the folder of one dead run,
    and that folder where it is empty; how many. Folders of others may stand beside it: nobody knows whose they are."""
    halves = half_removed(root)
    for half in halves:
        remove_tree(half)
    with contextlib.suppress(OSError):
        root.rmdir()  # only where it is empty
    return len(halves)


def branches_of(git: Git, run_id: str) -> dict[str, str]:
    """ref → commit of the branches that the run made for its tasks."""
    listed = git.run("for-each-ref", "--format=%(objectname) %(refname)", f"refs/heads/maestro/{run_id}/")
    return parse_refs(listed.stdout)


def prune_branches(git: Git, run_id: str, *, dry_run: bool = False) -> tuple[str, ...]:
    """Delete the run's task branches whose commits are on another branch or saved; never one that is checked out.

    The refs that were deleted, or with `dry_run` would be.
    """
    branches = branches_of(git, run_id)
    if not dry_run:
        forget_removed(git, run_id)
    out = {entry.branch for entry in parse_worktrees(git.run("worktree", "list", "--porcelain", "-z").stdout)}
    free = {ref: oid for ref, oid in branches.items() if ref not in out}
    keepers = [*_users_branches(git), *saved_refs(git, run_id)]
    gone = [ref for ref, oid in free.items() if ref.endswith(f"/{GATE_BENCH}") or _is_kept(git, oid, keepers)]
    if gone and not dry_run:
        git.run("update-ref", "--stdin", "-z", stdin="".join(f"delete {ref}\0{free[ref]}\0" for ref in gone).encode())
    return tuple(gone)


def forget_removed(git: Git, run_id: str, root: Path | None = None) -> None:
    """Worktrees of the run that a crash left listed while their files were being removed: those on its branches, and
    with `root`, the folder of its workspaces, all in there. Where the whole folder of the run is missing, its disk may
    only not be there today: then nothing is forgotten."""
    inside = None if root is None else Path(os.path.realpath(root))
    with locked(git.common_dir() / LOCK):
        for entry in parse_worktrees(git.run("worktree", "list", "--porcelain", "-z").stdout):
            path = Path(entry.path)
            is_of_run = (entry.branch or "").startswith(f"refs/heads/maestro/{run_id}/")
            is_of_run |= inside is not None and path.is_relative_to(inside)
            if is_of_run and not path.parent.exists() and path.parent.parent.is_dir():
                git.run("worktree", "remove", "--force", entry.path)


def half_removed(folder: Path) -> list[Path]:
    """What a crash left of workspaces that were being removed, straight in the folder."""
    return [entry for entry in _folders(folder) if entry.name.startswith(REMOVING)]


def _homes(root: Path, run_id: str | None) -> Iterator[Path]:
    for folder in (root, *(one for one in _folders(root) if run_id in (None, one.name))):
        yield from (home for home in _folders(folder) if home.name.startswith(("task-", PARKED)))


def _is_of(home: Path, run_id: str) -> bool:
    """Whether it is a workspace of the run, or one in its folder that cannot be read."""
    try:
        marker = read_marker(home)
    except WorkspaceError:
        return home.parent.name == run_id
    return marker is not None and marker.run_id == run_id


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return []


class _Kinds:
    """Opens workspaces by kind and root, each pair once."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._opened: dict[tuple[str, Path], Lifecycle] = {}

    def open(self, kind: str, root: Path) -> Lifecycle:
        if kind not in KINDS:
            raise WorkspaceError(f"unknown kind of workspace {kind!r}", hint="a newer maestro made it")
        if (kind, root) not in self._opened:
            self._opened[kind, root] = KINDS[kind](survey(self._git, root))
        return self._opened[kind, root]


class _Look:
    """What is asked once for all workspaces."""

    def __init__(
        self, git: Git, live_runs: Collection[str], landed: Collection[tuple[str, str]], ending: Collection[int]
    ) -> None:
        self._git = git
        self._live_runs = live_runs
        self._landed = landed
        self._kinds = _Kinds(git)
        self._common_dir = git.common_dir()
        self._keepers = _users_branches(git)
        self._busy = [(pid, folder) for pid, folder in standing() if pid not in ending]

    def describe(self, home: Path) -> Found | None:
        """None where it is not a workspace, or another repository's."""
        try:
            marker = read_marker(home)
        except WorkspaceError as error:
            return Found(home=home, state=WorkspaceState.UNKNOWN, reason=error.message, size_bytes=_size(home))
        if marker is None or decode_path(marker.common_dir) != self._common_dir:
            return None
        state, reason = self._state(home, marker)
        return Found(
            home=home,
            state=state,
            run_id=marker.run_id,
            task_id=marker.task_id,
            task_name=marker.task_name,
            kind=marker.kind,
            branch=marker.branch,
            size_bytes=_size(home),
            reason=reason,
        )

    def _state(self, home: Path, marker: Marker) -> tuple[WorkspaceState, str]:
        if marker.run_id in self._live_runs:
            return WorkspaceState.LIVE, "its run goes on"
        if (pid := self._stands_in(os.path.realpath(home))) is not None:
            return WorkspaceState.LIVE, f"process {pid} ({program(pid)}) stands in it"
        if marker.parked:
            return WorkspaceState.PARKED, ""
        if marker.task_name == GATE_BENCH:
            return WorkspaceState.LANDED, ""  # what is tried there is in the workspaces of its tasks
        try:
            workspaces = self._kinds.open(marker.kind, home.parent)
            workspace = workspaces.load(home)
            if workspace is None:
                return WorkspaceState.UNKNOWN, "it is gone"
            tips, dirty = workspaces.look(workspace)
        except MaestroError as error:
            return WorkspaceState.UNKNOWN, error.message
        if dirty:
            return WorkspaceState.UNLANDED, ""
        known = (marker.run_id, marker.task_name) in self._landed
        if known or all(tip == marker.base or _is_kept(self._git, tip, self._keepers) for tip in tips):
            return WorkspaceState.LANDED, ""
        return WorkspaceState.UNLANDED, ""

    def _stands_in(self, home: str) -> int | None:
        return next((pid for pid, folder in self._busy if folder == home or folder.startswith(f"{home}/")), None)


def _clean_one(kinds: _Kinds, root: Path, one: Found, *, dry_run: bool, force: bool) -> Cleaned:
    if not one.home.is_relative_to(root):
        raise WorkspaceError(f"{one.home} is not below {root}")

    def kept(reason: str) -> Cleaned:
        return Cleaned(home=one.home, state=one.state, removed=False, size_bytes=one.size_bytes, reason=reason)

    match one.state:
        case WorkspaceState.LIVE:
            return kept(f"it is in use: {one.reason}" if one.reason else "it is in use")
        case WorkspaceState.UNKNOWN:
            return kept(one.reason)
        case WorkspaceState.UNLANDED if not force:
            return kept("its work has not landed: --force saves it, then removes it")
        case _:
            pass
    saved = None
    if not dry_run:
        try:
            workspaces = kinds.open(one.kind, one.home.parent)
            workspace = workspaces.load(one.home)
            if workspace is None:
                return kept("it is gone")
            is_empty = one.state is WorkspaceState.PARKED
            if one.state is WorkspaceState.UNLANDED or (not is_empty and workspaces.look(workspace)[1]):
                saved = workspaces.save(workspace, one.run_id, one.task_name)
            workspaces.remove(workspace)
        except MaestroError as error:
            return kept(error.message)
    return Cleaned(home=one.home, state=one.state, removed=True, size_bytes=one.size_bytes, saved_ref=saved)


def _users_branches(git: Git) -> list[str]:
    """Every branch and remote branch that is not a task's: what is on one of them has landed."""
    listed = git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/remotes", "refs/tags")
    return [ref for ref in parse_refs(listed.stdout) if not ref.startswith("refs/heads/maestro/")]


def _is_kept(git: Git, commit: str, refs: Iterable[str]) -> bool:
    """Whether one of the refs contains the commit."""
    named = list(refs)
    if not named or git.commit_of(commit) is None:
        return False
    said = git.run("for-each-ref", f"--contains={commit}", "--count=1", "--format=%(refname)", *named)
    return bool(said.stdout.strip())


def _size(folder: Path) -> int:
    """Bytes on disk, each file counted once however many names it has."""
    total, seen = 0, set()
    for place, _, names in os.walk(folder):
        for name in (*names, "."):
            try:
                found = os.lstat(Path(place) / name)
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
