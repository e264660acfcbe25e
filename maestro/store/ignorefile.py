"""A `.gitignore` that hides what is beside it, and itself, from the user's `git status` (S-2).

It appears whole: whoever is interrupted or killed while it is made would leave an empty one, which hides nothing, not
even itself, and which nobody would fill any more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

ALL = "*\n"


def hide(folder: Path, text: str = ALL) -> None:
    """Make one in `folder`; one that is there stays as it is. OSError where that cannot be done."""
    path = folder / ".gitignore"
    if path.exists():
        return
    with suppress(FileExistsError):  # somebody else was quicker
        if not _appeared(path, text):
            path.write_text(text)


def _appeared(path: Path, text: str) -> bool:
    """Whether it could be made without a name, and then be given one."""
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fd = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o666, dir_fd=above)
        except (
            OSError
        ):  # not every file system can do it (open(2), O_TMPFILE), and who may not write is told so by both
            return False
        with os.fdopen(fd, "w") as file:
            file.write(text)
            file.flush()
            try:
                os.link(f"/proc/self/fd/{fd}", path.name, src_dir_fd=above, dst_dir_fd=above, follow_symlinks=True)
            except FileExistsError:
                raise
            except OSError:  # no /proc here
                return False
        return True
    finally:
        os.close(above)
