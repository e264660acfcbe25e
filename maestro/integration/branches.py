"""Moves branches by compare-and-swap, and never under a checkout (M-1, M-2). All functions block."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from maestro.errors import BadInput, GitError
from maestro.vcs.git import Git

_ALWAYS_GOOD = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
"""Names that git need not be asked about (git-check-ref-format(1)): what it refuses has other characters in it."""


class LandedOnBase(NamedTuple):
    """The base branch holds the integration branch."""

    branch: str
    commit: str
    moved: bool  # False: it held everything already


class Refused(NamedTuple):
    """The base branch was left alone, and why: a clause for people."""

    reason: str


def check_branch(git: Git, branch: str) -> None:
    """BadInput for a branch that cannot be made: a branch of another run is never taken over."""
    ref = f"refs/heads/{branch}"
    if not _ALWAYS_GOOD.fullmatch(branch) and not git.succeeds("check-ref-format", ref):
        raise BadInput(f"{branch!r} is not a name git accepts for a branch", hint="choose another --run-id")
    if git.commit_of(ref) is not None:
        raise BadInput(f"the branch {branch} exists already", hint="choose another --run-id, or delete the branch")


def create_branch(git: Git, branch: str, base: str) -> None:
    """Make a branch at a commit; BadInput when it cannot be."""
    ref = f"refs/heads/{branch}"
    try:
        if git.set_ref(ref, base, None):
            return
    except GitError:
        check_branch(git, branch)  # a name that git does not take
        raise
    check_branch(git, branch)
    for parent in Path(branch).parents:
        if str(parent) != "." and git.commit_of(f"refs/heads/{parent}") is not None:
            raise BadInput(
                f"the branch {branch} cannot be made: git allows none below the branch {parent}",
                hint=f"rename it: git branch -m {parent} {parent}-old",
            )
    below = git.text("for-each-ref", "--count=1", "--format=%(refname:short)", f"{ref}/")
    reason = f"git allows none beside the branch {below}" if below else "another process holds its lock"
    raise BadInput(f"the branch {branch} cannot be made: {reason}")


def checked_out_at(git: Git, branch: str) -> Path | None:
    """The worktree that has the branch checked out; one whose directory is gone does not count.

    Reads the HEAD files of the worktrees itself: git's own listing fails now and then while another process adds or
    removes a worktree (measured on 2.39: "failed to read .git/worktrees/x/commondir"), and it costs a process.
    """
    common = git.common_dir()
    wanted = f"ref: refs/heads/{branch}".encode()
    if _text_of(common / "HEAD") == wanted and (main := _main_worktree(git, common)) is not None:
        return main
    for admin in _listed(common / "worktrees"):
        if _text_of(admin / "HEAD") == wanted and (gitdir := _text_of(admin / "gitdir")):
            place = Path(os.fsdecode(gitdir)).parent
            if place.is_dir():
                return place
    return None


def _main_worktree(git: Git, common: Path) -> Path | None:
    """Where the main worktree is; None for a bare repository."""
    if git.text("config", "--get", "--type=bool", "core.bare", ok=(0, 1)) == "true":
        return None
    return common.parent if common.name == ".git" else git.directory


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text_of(file: Path) -> bytes:
    """Content without the newline at its end; empty where it is gone."""
    try:
        return file.read_bytes().removesuffix(b"\n")
    except OSError:
        return b""


def checked_out_words(branch: str, place: Path) -> tuple[str, str]:
    """Why a branch cannot be moved, and what frees it."""
    message = f"the branch {branch} is checked out in {place}, and maestro moves no branch under a checkout"
    return message, f"switch that checkout to another branch: git -C {shlex.quote(str(place))} switch --detach"


def advance(git: Git, branch: str, new: str, expected: str) -> bool:
    """Move a branch from `expected` to `new`; False when it stands elsewhere by now (or another process holds
    its lock). GitError when it is checked out: its files would then look changed back."""
    place = checked_out_at(git, branch)
    if place is not None:
        message, hint = checked_out_words(branch, place)
        raise GitError(message, hint=hint)
    return git.set_ref(f"refs/heads/{branch}", new, expected)


def check_land_on_base(git: Git, base_branch: str) -> Refused | None:
    """Asked at the start of a run with --land-on-base: what would stand in the way at its end, seen from now."""
    if git.commit_of(f"refs/heads/{base_branch}") is None:
        return Refused(reason=f"{base_branch} is not a local branch, so nothing can be landed on it")
    place = checked_out_at(git, base_branch)
    if place is not None and _is_dirty(git.at(place)):
        return Refused(
            reason=f"{base_branch} is checked out in {place} with uncommitted changes: commit or stash them first"
        )
    return None


def land_on_base(git: Git, base_branch: str, integration_tip: str, expected_base: str) -> LandedOnBase | Refused:
    """Bring the integration branch to its base: one compare-and-swap, only as a fast-forward.

    Where the base is checked out, its checkout is fast-forwarded with it, only when it is clean and no
    untracked or ignored file would be overwritten. `expected_base` is where the run started.
    """
    current = git.commit_of(f"refs/heads/{base_branch}")
    if current is None:
        return Refused(reason=f"the branch {base_branch} does not exist any more")
    if git.is_ancestor(integration_tip, current):
        return LandedOnBase(branch=base_branch, commit=current, moved=False)
    if not git.is_ancestor(current, integration_tip):
        moved = "has moved since the run began" if current != expected_base else "holds what the run did not start from"
        return Refused(
            reason=f"{base_branch} {moved} and cannot be fast-forwarded; the integration branch holds everything"
        )
    place = checked_out_at(git, base_branch)
    if place is not None:
        return _fast_forward(git.at(place), base_branch, integration_tip)
    if git.set_ref(f"refs/heads/{base_branch}", integration_tip, current):
        return LandedOnBase(branch=base_branch, commit=integration_tip, moved=True)
    return Refused(reason=f"{base_branch} was moved at this moment; the integration branch holds everything")


def _fast_forward(git: Git, branch: str, tip: str) -> LandedOnBase | Refused:
    if _is_dirty(git):
        return Refused(
            reason=f"{branch} is checked out in {git.directory} with uncommitted changes; "
            "the integration branch holds everything"
        )
    try:
        # git would silently overwrite ignored files, such as a .env, that the landed work tracks
        git.run("merge", "--ff-only", "--no-overwrite-ignore", "--no-stat", "--quiet", tip)
    except GitError as error:
        said = " ".join(error.output.split())
        return Refused(
            reason=f"git would not fast-forward the checkout in {git.directory}: {said}; "
            "the integration branch holds everything"
        )
    return LandedOnBase(branch=branch, commit=tip, moved=True)


def _is_dirty(git: Git) -> bool:
    """Changes to tracked files, staged or not; untracked files stand in the way only where work adds the same path."""
    return bool(git.run("status", "--porcelain", "-z", "--untracked-files=no").stdout)
