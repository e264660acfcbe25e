"""What an agent may have left in a git directory to have git, run by maestro, write somewhere else.

Git follows links when it writes an index, a log of HEAD or the message of a commit, and symbolic refs when it moves a
branch. It makes no such links itself. An agent that works in a sandbox could reach through them what it cannot write,
and one without could do so by accident.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NOT_WRITTEN = ("objects", "hooks")
"""Git writes files under new names there, or none."""


def remove_links(git_dir: Path) -> None:
    """Take the links out of a git directory in which nobody works any more. What cannot be removed stays."""
    for folder, folders, files in () if git_dir.is_symlink() else os.walk(git_dir):
        for name in (*folders, *files):
            if (path := Path(folder, name)).is_symlink():
                with suppress(OSError):
                    path.unlink()
        folders[:] = [name for name in folders if name not in _NOT_WRITTEN]


def remove_symbolic(common_dir: Path, branch: str) -> None:
    """Take a branch of maestro's own away that stands for another one; its commits are that one's."""
    path = common_dir / "refs" / "heads" / branch
    with suppress(OSError):
        if path.is_symlink() or (path.is_file() and path.read_bytes().startswith(b"ref:")):
            path.unlink()
