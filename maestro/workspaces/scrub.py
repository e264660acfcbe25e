"""Taking out of a workspace's files all that is not tracked, ignored or not, and what agents do to folders.

What remains are real folders with the right mode and files at tracked paths. Whether those files are the tracked ones
is git's to find out: whatever was done to a file changed its ctime, which git compares. It compares whole seconds,
and in the same second only contents and the executable bit: the rest is looked at here.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.workspaces.index import IndexPaths
from maestro.workspaces.removal import make_writable

_AT_ONCE = 200  # arguments of one rm


def scrub(repo: Path, tracked: IndexPaths, mode: int) -> None:
    """Leave in `repo` only `.git` and what stands at tracked paths; every folder gets `mode`, empty ones go.

    OSError or WorkspaceError where something cannot be removed.
    """
    top = os.fsencode(repo) + b"/"
    kept: dict[bytes, int] = {}  # folder → entries that stay, each folder before those in it
    doomed: list[bytes] = []
    todo = [b""]
    while todo:
        folder = todo.pop()
        kept[folder] = _look_through(top, folder, tracked, mode, todo, doomed)
    _remove(doomed)
    for folder in reversed(kept):
        if folder and not kept[folder]:
            os.rmdir(top + folder)  # noqa: PTH106 - names are bytes
            kept[folder[: folder.rstrip(b"/").rfind(b"/") + 1]] -= 1


def _look_through(
    top: bytes, folder: bytes, tracked: IndexPaths, mode: int, todo: list[bytes], doomed: list[bytes]
) -> int:
    """Sort the entries of one folder; the number of those that stay."""
    path = top + folder
    if stat.S_IMODE(os.lstat(path).st_mode) != mode:
        os.chmod(path, mode)  # noqa: PTH101
    count = 0
    with os.scandir(path) as entries:
        for entry in entries:
            name = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                stays = name in tracked.folders
                if stays:
                    todo.append(name + b"/")
            else:
                plain = entry.is_file(follow_symlinks=False) or entry.is_symlink()
                stays = (plain and name in tracked.files) or name == b".git"
                if stays and name in tracked.young:
                    stays = _is_as_made(entry, mode & (0o777 if tracked.young[name] else 0o666))
            count += stays
            if not stays:
                doomed.append(entry.path)
    return count


def _is_as_made(entry: os.DirEntry[bytes], mode: int) -> bool:
    found = entry.stat(follow_symlinks=False)
    return stat.S_IMODE(found.st_mode) == mode and found.st_nlink == 1


def _remove(doomed: Sequence[bytes]) -> None:
    folders = []
    for path in doomed:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            folders.append(path)
        else:
            os.unlink(path)  # noqa: PTH108
    for start in range(0, len(folders), _AT_ONCE):
        some = folders[start : start + _AT_ONCE]
        if _rm(some):
            for path in some:
                if os.path.lexists(path):
                    make_writable(Path(os.fsdecode(path)))
            if said := _rm(some):
                raise WorkspaceError(f"a folder cannot be removed: {said}")


def _rm(folders: Sequence[bytes]) -> str:
    done = subprocess.run(["rm", "-rf", "--", *folders], capture_output=True, check=False)
    return "" if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
