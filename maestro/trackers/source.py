"""Backlog files as text: read whole or refused with a reason, changed under a lock and read back."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from maestro.errors import BadInput, Busy, StateError, TrackerError
from maestro.store.atomic import write_atomically
from maestro.store.filelocks import locked

MAX_BYTES = 64 * 1024 * 1024
LOCK_SECONDS = 60.0
BOM = "\ufeff"


def shown(path: Path, repository: Path) -> str:
    """The path as messages name it: relative to the repository where it is inside."""
    with contextlib.suppress(ValueError):
        # a link keeps its own name: it is what the user gave, wherever it leads
        return str((path.absolute().parent.resolve() / path.name).relative_to(repository.resolve()))
    return str(path)


def read_whole(path: Path, name: str) -> bytes:
    """All bytes of the file; BadInput says why they cannot be had.

    Size and kind are judged before a byte is read, so a huge file or a device is refused at once.
    """
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise BadInput(f"{name} is a directory", hint="give the path of a file in it")
        if not stat.S_ISREG(facts.st_mode):
            raise BadInput(f"{name} is not a regular file", hint="save its content in a file first")
        if facts.st_size > MAX_BYTES:
            raise BadInput(
                f"{name} has {facts.st_size // 2**20} MiB; a backlog may have up to {MAX_BYTES // 2**20} MiB",
                hint="check that this is the file you mean",
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(
            f"{name} does not exist", hint="check the path; it is taken from the current directory"
        ) from error
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}", hint="check its permissions") from error


def read_text(path: Path, name: str) -> str:
    """The whole file, line ends and byte order mark as they are; BadInput says what is wrong with it."""
    data = read_whole(path, name)
    if b"\0" in data:
        raise BadInput(f"{name} is not a text file", hint="maestro reads text in UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{name} is not UTF-8 (line {line})", hint="save the file as UTF-8") from error
    if not text.lstrip(BOM).strip():
        raise BadInput(f"{name} is empty", hint="put tasks into it, or give another file")
    return text


def change_text(path: Path, name: str, lock: Path, change: Callable[[str], str]) -> None:
    """Replace the file by `change(its text)`, read under the lock and read back; equal text is not written.

    The byte order mark is kept out of what `change` sees. Raises what `read_text`, `change` and the store raise.
    """
    with locked(lock, LOCK_SECONDS):
        text = read_text(path, name)
        mark, body = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
        changed = mark + change(body)
        if changed == text:
            return
        write_atomically(path, changed.encode("utf-8"))
        if read_text(path, name) != changed:
            raise TrackerError(f"{name} does not hold what was just written", hint="something else writes this file")


@contextlib.contextmanager
def writing(name: str) -> Iterator[None]:
    """Turns what reading, locking and storing raise into the one error a tracker's writes may raise."""
    try:
        yield
    except (BadInput, Busy, StateError) as error:
        raise TrackerError(f"the progress of {name} cannot be written: {error.message}", hint=error.hint) from error
