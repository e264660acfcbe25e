"""Taking out of a workspace's files all that is not tracked, ignored or not, and what agents do to folders.

What remains are real folders with the right mode, files at tracked paths, and what the user wants kept. Whether those
files are the tracked ones is git's to find out: whatever was done to a file changed its ctime, which git compares, but
only by whole seconds. What may have been changed in the second in which it was made is looked at here.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.workspaces.keeping import Keep
from maestro.workspaces.removal import make_writable
from maestro.workspaces.tracked import Marks, Stamp, Tracked, marks_of, stamp_of

_AT_ONCE = 200  # arguments of one rm


def scrub(
    repo: Path, tracked: Tracked, stamps: Mapping[bytes, Stamp], mode: int, marks: Marks, keep: Keep
) -> tuple[tuple[bytes, ...], dict[bytes, Stamp]]:
    """Leave in `repo` only `.git`, what stands at tracked paths and what is to be kept; every folder of the first gets
    `mode`. A folder whose stamp is the same is as it was. The paths that were kept, and the stamps of those folders.

    OSError or WorkspaceError where something cannot be removed, or a folder has other marks.
    """
    work = _Scrubbing(os.fsencode(repo) + b"/", tracked, mode, marks, keep)
    work.todo.append(b"")
    below, same = tracked.folders(), {}
    while work.todo:
        folder = work.todo.pop()
        known = stamps.get(folder)
        if known is not None and stamp_of(work.top + folder) == known:
            work.todo += below[folder]
            same[folder] = known
        else:
            work.look_through(folder)
    _remove(work.doomed)
    return tuple(work.kept), same


def drop_attributes(repo: Path, tracked: Tracked, stamps: Mapping[bytes, Stamp]) -> dict[bytes, Stamp]:
    """Remove the tracked files with attributes that may have been written into: git would check out by what they say
    now. It reads in the index what is not there. The stamps of those that stay."""
    top, same = os.fsencode(repo) + b"/", {}
    for path in tracked.attributes():
        with suppress(FileNotFoundError):
            known = stamps.get(path)
            if known is not None and stamp_of(top + path) == known:
                same[path] = known
            else:
                os.unlink(top + path)  # noqa: PTH108
    return same


class _Scrubbing:
    """One pass over the files; paths are bytes below `top`, those of folders end with a slash."""

    def __init__(self, top: bytes, tracked: Tracked, mode: int, marks: Marks, keep: Keep) -> None:
        self.top, self.tracked, self.mode, self.marks, self.keep = top, tracked, mode, marks, keep
        self.todo: list[bytes] = []
        self.doomed: list[bytes] = []
        self.kept: list[bytes] = []

    def look_through(self, folder: bytes) -> None:
        """Sort the entries of a folder in which something is tracked."""
        path = self.top + folder
        self._make_plain(path)
        names = self.tracked.names[folder]
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name in names and (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder and entry.name + b"/" in names:
                    self.todo.append(folder + entry.name + b"/")
                else:
                    self._judge(folder, entry, is_folder)

    def _make_plain(self, path: bytes) -> None:
        if marks_of(path) != self.marks:
            raise WorkspaceError(f"{os.fsdecode(path)} was given to another owner, or attributes")
        if stat.S_IMODE(os.lstat(path).st_mode) != self.mode:
            os.chmod(path, self.mode)  # noqa: PTH101 - names are bytes

    def _judge(self, folder: bytes, entry: os.DirEntry[bytes], is_folder: bool) -> None:
        """What is not tracked: kept, searched for what is, or doomed."""
        path = folder + entry.name
        if path == b".git":
            return
        if self.keep and path not in self.tracked and (is_folder or entry.is_file(follow_symlinks=False)):
            if self.keep.names(path):
                self.kept.append(path)
                return
            if is_folder and self.keep.leads_through(path):
                found = list(self._inside(path))
                if found:
                    self.kept += found
                    return
        self.doomed.append(entry.path)

    def _inside(self, folder: bytes) -> Iterator[bytes]:
        """What is kept of a folder that is not tracked; the rest of it is doomed, where something is."""
        others, found = [], []
        with os.scandir(self.top + folder) as entries:
            for entry in entries:
                path, is_folder = folder + b"/" + entry.name, entry.is_dir(follow_symlinks=False)
                below: list[bytes] = []
                if (is_folder or entry.is_file(follow_symlinks=False)) and self.keep.is_exact(path):
                    below = [path]
                elif is_folder and self.keep.leads_through(path):
                    below = list(self._inside(path))
                found += below
                if not below:
                    others.append(entry.path)
        if found:
            self.doomed += others
            self._make_plain(self.top + folder)  # another commit may have something of its own in it
        yield from found


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
