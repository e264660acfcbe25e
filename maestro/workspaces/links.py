"""How a worktree and its git directory name each other: `.git` in the files, `gitdir` in the user's repository."""

from __future__ import annotations

import os
from pathlib import Path


def named_by(link: Path) -> Path | None:
    """The git directory that a `.git` file names, None where it is none or names nothing that exists."""
    try:
        if link.is_symlink():
            return None
        said = link.read_bytes()
    except OSError:
        return None
    if not said.startswith(b"gitdir: "):
        return None
    named = Path(os.fsdecode(said[8:].rstrip(b"\r\n")))
    return named if named.is_dir() else None


def place_of(admin: Path) -> Path | None:
    """Where the files of the worktree with this git directory are."""
    try:
        return Path(os.fsdecode((admin / "gitdir").read_bytes().rstrip(b"\r\n"))).parent
    except OSError:
        return None


def worktrees_of(common_dir: Path) -> list[tuple[Path, Path]]:
    """(git directory, place of the files) of every worktree that the repository knows."""
    try:
        admins = list((common_dir / "worktrees").iterdir())
    except OSError:
        return []
    pairs = [(admin, place_of(admin)) for admin in admins]
    return [(admin, place) for admin, place in pairs if place is not None]


def move_link(admin: Path, repo: Path) -> None:
    """Tell git that the files are at `repo` now; whoever reads meanwhile meets the old name or the new one."""
    fresh = admin / "gitdir.new"
    fresh.write_bytes(os.fsencode(os.path.realpath(repo)) + b"/.git\n")
    fresh.replace(admin / "gitdir")
