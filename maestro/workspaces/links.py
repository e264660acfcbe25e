"""How a worktree and its git directory name each other: `.git` in the files, `gitdir` in the user's repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from maestro.workspaces.anew import write_anew


def named_by(link: Path) -> Path | None:
    """The git directory that a `.git` file names, None where it is none or names nothing that exists."""
    path = os.fspath(link)
    if os.path.islink(path):  # noqa: PTH114 - as below, several times for each task
        return None
    said = contents_of(path)
    if said is None or not said.startswith(b"gitdir: "):
        return None
    named = os.fsdecode(said[8:].rstrip(b"\r\n"))
    return Path(named) if os.path.isdir(named) else None  # noqa: PTH112


def place_of(admin: Path) -> Path | None:
    """Where the files of the worktree with this git directory are."""
    link = _linked(f"{admin}/gitdir")
    return None if link is None else Path(link).parent


def worktrees_of(common_dir: Path) -> list[tuple[Path, Path]]:
    """(git directory, place of the files) of every worktree that the repository knows."""
    try:
        admins = list((common_dir / "worktrees").iterdir())
    except OSError:
        return []
    pairs = [(admin, place_of(admin)) for admin in admins]
    return [(admin, place) for admin, place in pairs if place is not None]


def worktrees_below(common_dir: Path, folder: str) -> Iterator[Path]:
    """Git directories of the worktrees whose files are in the folder, which is named as git does: without links."""
    admins, inside = f"{common_dir}/worktrees", f"{folder}/"
    try:
        names = os.listdir(admins)  # noqa: PTH208 - for each task, all there are
    except OSError:
        return
    for name in names:
        link = _linked(f"{admins}/{name}/gitdir")
        if link is not None and os.path.normpath(link).startswith(inside):
            yield Path(admins, name)


def move_link(admin: Path, repo: Path) -> None:
    """Tell git that the files are at `repo` now; whoever reads meanwhile meets the old name or the new one."""
    write_anew(f"{admin}/gitdir", os.fsencode(os.path.realpath(repo)) + b"/.git\n")


def _linked(file: str) -> str | None:
    said = contents_of(file)
    return None if said is None else os.fsdecode(said.rstrip(b"\r\n"))


def contents_of(path: str) -> bytes | None:
    """All bytes of a small file; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
