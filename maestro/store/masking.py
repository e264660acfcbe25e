"""Takes secrets out of files that others have written: agents and test commands write straight to disk, since they
outlive the coordinator. Once they have ended, what they left is masked in place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from maestro.errors import StateError
from maestro.model.masked_stream import MaskedStream
from maestro.model.redaction import Redactor

BLOCK = 1 << 18

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

MASKED_WHEN_WRITTEN = frozenset({"journal.jsonl", "blueprint.json", "board.jsonl", "coordinator.log"})
"""In the folder of a run; the last of them may be the standard output of the very process that asks."""


def mask_file(path: Path, redactor: Redactor) -> bool:
    """Mask the secrets in a file; whether there were any. Memory does not grow with the file.

    A file without secrets is not touched. Else it is replaced whole, readable by the user alone, so that a crash
    leaves the old one or the new one and calling again is safe. What is no plain file, or not there, holds nothing.
    StateError where it cannot be read or written; then the old one is there.
    """
    try:
        with open(path, "rb", buffering=0, opener=_no_link) as source:
            is_plain = stat.S_ISREG(os.fstat(source.fileno()).st_mode)
            return is_plain and _masked_into_place(path, source, redactor)
    except (FileNotFoundError, IsADirectoryError):
        return False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return False
        raise StateError(f"{path} may hold secrets and cannot be masked: {error.strerror}") from error


def _no_link(name: str, flags: int) -> int:
    """What an agent has put there must neither lead elsewhere nor keep us waiting, as a pipe does."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def mask_folder(folder: Path, redactor: Redactor, leave: frozenset[str] = frozenset()) -> int:
    """Mask every file below a folder but those named in `leave`; how many held secrets. StateError for the first
    that could not be masked, after all others were."""
    found, failure = 0, None
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in leave]
        for name in names:
            if name in leave:
                continue
            try:
                found += mask_file(Path(parent, name), redactor)
            except StateError as error:
                failure = failure or error
    if failure is not None:
        raise failure
    return found


def _masked_into_place(path: Path, source: FileIO, redactor: Redactor) -> bool:
    with contextlib.ExitStack() as stack:
        target: BinaryIO | None = None
        temporary = ""
        stream, kept = MaskedStream(redactor), 0  # bytes at the beginning that are as they were
        while True:
            block = source.read(BLOCK)
            out = stream.feed(block) if block else stream.end()
            if stream.found and target is None:
                target, temporary = _beside(path, stack)
                _copy_beginning(source, target, kept)
            if target is not None:
                target.write(out)
            else:
                kept += len(out)
            if not block:
                break
        if target is None:
            return False
        target.flush()
        os.fchmod(target.fileno(), PRIVATE_FILE)
        times = os.fstat(source.fileno())
        os.utime(target.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))  # when it was written is still true
        os.fsync(target.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - both names are at hand
        return True


def _beside(path: Path, stack: contextlib.ExitStack) -> tuple[BinaryIO, str]:
    """A new file in the same folder; gone again at the end where it has not taken its place."""
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name[:64]}.", suffix=".tmp", dir=path.parent)

    def remove() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108

    stack.callback(remove)
    return stack.enter_context(os.fdopen(fd, "wb")), temporary


def _copy_beginning(source: FileIO, target: BinaryIO, length: int) -> None:
    position = 0
    while position < length and (block := os.pread(source.fileno(), min(BLOCK, length - position), position)):
        target.write(block)
        position += len(block)


def make_private(folder: Path) -> None:
    """Make a folder that only the user can look into; one that is there becomes so. OSError where that cannot be."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        folder.chmod(PRIVATE_FOLDER)


def write_privately(path: Path, text: str) -> None:
    """Write a text that only the user may read; OSError where that cannot be. A link or a pipe that an agent left there
    makes way."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
