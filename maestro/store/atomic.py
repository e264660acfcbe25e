"""Files replaced whole: a reader, a crash or a full disk meets the old content or the new, never a part of it."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import tempfile
from pathlib import Path

from maestro.errors import StateError


def write_atomically(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace `path` by a file that holds `data`; its folder is made where it is missing.

    `mode` is the permission bits of the result; None keeps those of the file it replaces (a new file gets what the
    umask leaves of 0666). A symlink stays one: the file it leads to is replaced. Both the file and its folder are
    on disk when this returns. StateError names the path; then the old file is untouched and nothing is left beside it.
    """
    try:
        # a rename over a link would cut it off from the file the user keeps elsewhere
        real = path.resolve() if path.is_symlink() else path
        bits = _mode_of(real) if mode is None else mode
        fd, temporary = _beside(real)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), bits)
                os.fsync(file.fileno())
            os.replace(temporary, real)  # noqa: PTH105 - both names are at hand, Path.replace says no more
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        _sync_folder(real.parent)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks, up to Python 3.12
        reason = getattr(error, "strerror", None) or str(error)
        raise StateError(
            f"{path} cannot be written: {reason}", hint="check the free space and the permissions there"
        ) from error


def writer_of(name: str) -> tuple[int, float] | None:
    """(pid, start in seconds since boot) of the process that wrote a temporary file, by the file's name; None where it
    is no such file. One whose writer is dead is what a crash left."""
    found = _TEMPORARY.fullmatch(name)
    return (int(found[1]), int(found[2]) / _TICKS_PER_SECOND) if found else None


_TEMPORARY = re.compile(r"\..+\.(\d+)-(\d+)\.\w{8}\.tmp", re.DOTALL)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _beside(path: Path) -> tuple[int, str]:
    """A new file in the same folder, open for writing, and its name; the folder is usually there."""
    prefix = f".{path.name[:64]}.{_writer(os.getpid())}."
    try:
        return tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)


@functools.lru_cache(maxsize=1)
def _writer(pid: int) -> str:
    """This process, as nobody else is called: its pid and when it started, as the kernel says (proc(5), field 22)."""
    try:
        ticks = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        ticks = "0"
    return f"{pid}-{ticks}"


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        umask = _umask()
        return 0o666 & ~umask


def _umask() -> int:
    """The umask, read without changing it: setting it even for an instant would race with other threads."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
