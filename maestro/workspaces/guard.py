"""The guard over the user's checkout (W-3): what it looked like, what changed, and who did it.

HEAD, branches, index and untracked files are compared. The index is only read; ignored files are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from maestro.errors import GitError
from maestro.vcs.git import Git
from maestro.vcs.parse import StatusEntry, parse_refs, parse_status, printable
from maestro.workspaces.culprit import AttemptTrace, Change, Traced, trace
from maestro.workspaces.site import LFS_OFF

__all__ = ["AttemptTrace", "Change", "CheckoutState", "FileState", "Traced", "compare", "snapshot", "trace"]

OWN_BRANCHES = ("refs/heads/maestro/", "refs/heads/integration/")
"""Branches that maestro itself moves."""


_STATUS = (
    "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty"
)  # fmt: skip


class FileState(NamedTuple):
    """One path that differs from HEAD: what git says of it, and what the file system does."""

    says: str  # kind, two-letter state, modes and object names of HEAD and index
    stamp: tuple[int, int, int] | None  # size, mtime and inode; None where there is no such file

    @property
    def is_untracked(self) -> bool:
        return self.says.startswith("?")


class CheckoutState(NamedTuple):
    """A checkout at one moment. Paths are text with surrogate escapes."""

    head: str | None  # commit
    branch: str | None  # None on a detached HEAD
    branches: dict[str, str]  # ref → commit, maestro's own left out
    files: dict[str, FileState]


def snapshot(git: Git, own_paths: Collection[Path] = (), own_branches: Sequence[str] = OWN_BRANCHES) -> CheckoutState:
    """The checkout that `git` is at the top of; `own_paths` are files and folders that maestro or a tracker writes."""
    try:
        said = git.run(*_STATUS)
    except GitError:  # perhaps a filter that is not installed
        said = git.at(git.directory, config=LFS_OFF).run(*_STATUS)
    status = parse_status(said.stdout)
    refs = parse_refs(git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads").stdout)
    top = Path(os.path.realpath(git.directory))
    own = [path for place in own_paths if (path := _below(Path(place), top)) is not None]
    return CheckoutState(
        head=status.oid,
        branch=status.branch,
        branches={ref: oid for ref, oid in refs.items() if not ref.startswith(tuple(own_branches))},
        files={entry.path: _file_state(top, entry) for entry in status.entries if not _is_own(entry.path, own)},
    )


def _below(path: Path, top: Path) -> str | None:
    """The path relative to the checkout, None where it is outside; links on the way are followed, the last is not."""
    real = Path(os.path.realpath(path.parent)) / path.name
    return str(real.relative_to(top)) if real.is_relative_to(top) and real != top else None


def _is_own(path: str, own: Sequence[str]) -> bool:
    """Also the file that stands beside one for a moment while it is replaced whole (maestro.store.atomic)."""
    folder, _, name = path.rpartition("/")
    replaced = (
        (f"{folder}/{name[1:]}" if folder else name[1:]) if name.startswith(".") and name.endswith(".tmp") else ""
    )
    return any(path == one or path.startswith(f"{one}/") or replaced.startswith(f"{one}.") for one in own)


def _file_state(top: Path, entry: StatusEntry) -> FileState:
    try:
        found = os.lstat(top / entry.path)
        stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
    except OSError:
        stamp = None
    return FileState(f"{entry.kind} {entry.xy} {entry.submodule} {entry.details}", stamp)


def compare(before: CheckoutState, after: CheckoutState) -> tuple[Change, ...]:
    """Everything that differs, HEAD and branches first, then files by name."""
    changes = [*_head_changes(before, after), *_branch_changes(before, after)]
    for path in sorted(before.files.keys() | after.files.keys()):
        what = _file_change(before.files.get(path), after.files.get(path), path)
        if what is not None:
            changes.append(Change(path=printable(path), what=what))
    return tuple(changes)


def _head_changes(before: CheckoutState, after: CheckoutState) -> list[Change]:
    if before.branch != after.branch:
        old, new = before.branch or "a detached HEAD", after.branch or "a detached HEAD"
        return [Change(path=None, what=f"branch switched from {old} to {new}", branch=after.branch)]
    if before.head != after.head and after.branch is None:
        return [Change(path=None, what=f"HEAD moved from {_short(before.head)} to {_short(after.head)}")]
    return []


def _branch_changes(before: CheckoutState, after: CheckoutState) -> list[Change]:
    changes = []
    for ref in sorted(before.branches.keys() | after.branches.keys()):
        old, new = before.branches.get(ref), after.branches.get(ref)
        name = ref.removeprefix("refs/heads/")
        if old is None:
            what = f"branch {name} appeared at {_short(new)}"
            changes.append(Change(path=None, what=what, branch=name, is_harmless=True))
        elif new is None:
            changes.append(Change(path=None, what=f"branch {name} was deleted, it was at {_short(old)}", branch=name))
        elif old != new:
            what = f"branch {name} moved from {_short(old)} to {_short(new)}"
            changes.append(Change(path=None, what=what, branch=name))
    return changes


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "nothing"


def _file_change(old: FileState | None, new: FileState | None, path: str) -> str | None:
    name = printable(path)
    if old is None:
        if new is None:
            return None
        return f"untracked file {name} appeared" if new.is_untracked else f"file {name} was changed"
    if new is None:
        return (
            f"untracked file {name} is gone" if old.is_untracked else f"file {name} was put back to what is committed"
        )
    if old == new:
        return None
    if old.says != new.says and old.stamp == new.stamp:
        return f"the index entry of {name} was changed"
    return f"untracked file {name} was changed" if new.is_untracked else f"file {name} was changed again"
