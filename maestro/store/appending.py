"""Lists of lines that several runs add to at once: one write at the end of the file; a torn line costs only itself.

They are not synced, for they only save reading every journal, and the journals are the truth.
"""

from __future__ import annotations

import os
from pathlib import Path

from maestro.errors import StateError


def append_line(path: Path, line: bytes) -> None:
    """Add a line, given without its newline. StateError names the path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # by a run that was killed, or a full disk
            os.write(fd, b"\n" * torn + line + b"\n")
        finally:
            os.close(fd)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error
