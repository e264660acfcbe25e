"""Young files that may not be as they were checked out: git, which compares whole seconds, would not see it of them.

Thousands of calls of the system from here cost several times as much while other threads are at work, since each gives
up the interpreter's lock. So where there are many files, one `find` looks at all of them, and only those are looked at
here that it does not tell to be the same: all of them where it is another find than GNU's.
"""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

from maestro.proc import spawned
from maestro.workspaces.index import LOWER_BITS, Young, born

_MANY = 300
"""Files; below it, a process costs more than to look at them."""

_NEVER = 1 << 63  # nanoseconds

_PATIENCE_SECONDS = 60.0
_NANOSECONDS = 1_000_000_000


def drop_touched(repo: Path, young: Young, handed_ns: int) -> list[bytes]:
    """Remove those of the files that were touched since the workspace was handed out, or that may have been; which.
    OSError where one cannot be removed."""
    gone, lstat = [], os.lstat
    top = os.open(repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # thousands of names are looked up from here
    try:
        for name in _suspects(repo, young, handed_ns):
            inode, changed_ns = young[name]
            try:
                found = lstat(name, dir_fd=top)
                if found.st_ctime_ns == changed_ns < handed_ns and found.st_ino & LOWER_BITS == inode:
                    continue
                gone.append(name)
                if not stat.S_ISDIR(found.st_mode):
                    os.unlink(name, dir_fd=top)
            except (FileNotFoundError, NotADirectoryError):
                gone.append(name)
    finally:
        os.close(top)
    return gone


def are_same(repo: Path, young: Young) -> bool:
    """Whether all of the files that are still there are as they were."""
    top = os.open(repo, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return all(_is_same(name, young[name], top) for name in _suspects(repo, young, _NEVER))
    finally:
        os.close(top)


def _is_same(name: bytes, known: tuple[int, int], top: int) -> bool:
    try:
        return born(os.lstat(name, dir_fd=top)) == known
    except (FileNotFoundError, NotADirectoryError):
        return True  # git sees that it is gone
    except OSError:
        return False


def _suspects(repo: Path, young: Young, handed_ns: int) -> Iterable[bytes]:
    """Those of which `find` does not say that they are the same and older."""
    if len(young) < _MANY:
        return young
    there, moments = _told_by_find(repo), dict[int, bytes]()
    suspects = []
    for name, (inode, changed_ns) in young.items():
        moment = moments.get(changed_ns)
        if moment is None:  # where the clock of a file system is slow, a checkout has few of them
            moment = moments[changed_ns] = b"%d.%09d0" % divmod(changed_ns, _NANOSECONDS)
        if b"%b %d %b" % (moment, inode, name) not in there or changed_ns >= handed_ns:
            suspects.append(name)
    return suspects


def _told_by_find(repo: Path) -> frozenset[bytes]:
    """Of each file its ctime, inode and path, as `_suspects` writes them; nothing where there is no such find."""
    if (find := _find()) is None:
        return frozenset()
    argv = [find, str(repo), "-name", ".git", "-prune", "-o", "-not", "-type", "d", "-printf", r"%C@ %i %P\0"]
    try:
        done = spawned.run(argv, env={**os.environ, "LC_ALL": "C"}, stdin=None, timeout_seconds=_PATIENCE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(done.stdout.split(b"\0")) if done.returncode == 0 else frozenset()


@functools.cache
def _find() -> str | None:
    return shutil.which("find")
