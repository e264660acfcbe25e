"""Removing folders that may hold anything: read-only ones, huge ones, ones that are half gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import uuid
from pathlib import Path

from maestro.errors import WorkspaceError

REMOVING = ".removing-"
"""Prefix of a folder on its way out: what a crash leaves is rubbish, never taken for a workspace."""

_FEW = 32


def remove_tree(folder: Path) -> None:
    """Remove the folder and all in it; a missing one is fine. WorkspaceError where the system refuses.

    It is renamed first, so that nobody ever meets half of it. Where there is much, `rm` does the work: it is faster
    than this process and leaves the interpreter to others meanwhile.
    """
    if not os.path.lexists(folder):
        return
    aside = folder.parent / f"{REMOVING}{folder.name[:64]}-{uuid.uuid4().hex[:12]}"
    try:
        folder.rename(aside)
    except OSError as error:
        raise WorkspaceError(f"{folder} cannot be removed: {error.strerror}") from error
    if _removed_few(aside):
        return
    said = _rm(aside)
    if said and os.path.lexists(aside):
        make_writable(aside)
        said = _rm(aside)
    if os.path.lexists(aside):
        with contextlib.suppress(OSError):
            aside.rename(folder)  # where it was, for people to find
        raise WorkspaceError(f"{folder} cannot be removed: {said}", hint="remove it by hand")


def make_writable(folder: Path) -> None:
    """Give the owner back what an agent took away; symlinks are not followed."""
    subprocess.run(["chmod", "-R", "u+rwX", "--", folder], capture_output=True, check=False)


def reopen(*folders: Path) -> None:
    """Let the owner into folders that an agent closed; what is in them keeps its modes."""
    for folder in folders:
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if mode & 0o700 != 0o700:
                folder.chmod(mode | 0o700)


def set_aside(link: Path, home: Path) -> None:
    """Keep what an agent put in the place of `.git` beside the workspace: commits may be in it."""
    number = 1
    while os.path.lexists(home / f"replaced-git-{number}"):
        number += 1
    link.rename(home / f"replaced-git-{number}")


def _removed_few(folder: Path) -> bool:
    """Whether the folder held so little that a process for it would cost more, and is gone."""
    try:
        if not _holds_few(folder):
            return False
        shutil.rmtree(folder)
    except OSError:
        return False
    return True


def _holds_few(folder: Path) -> bool:
    left, todo = _FEW, [os.fspath(folder)]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    return False
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
    return True


def _rm(folder: Path) -> str:
    done = subprocess.run(["rm", "-rf", "--", folder], capture_output=True, check=False)
    return done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
