"""What git must write outside a workspace, so that an agent in codex's sandbox can commit.

The sandbox keeps `.git` read-only, and the folder that a worktree's `.git` file names too. Commits need objects, refs,
logs and the worktree's own folder; hooks and configuration stay out of reach, for what stands there is run later, by
the user, outside of any sandbox. Read from files: no git is started to build a command line.
"""

from __future__ import annotations

from pathlib import Path

_SHARED = ("objects", "refs", "reftable", "logs", "lfs")


def git_folders(repository: Path) -> tuple[Path, ...]:
    """Folders that must be writable for a commit in this checkout; none where git is not in use."""
    marker = repository / ".git"
    if marker.is_dir():
        return (marker,)  # a clone of the workspace's own
    own = _named(marker, "gitdir: ", repository)
    if own is None:
        return ()
    shared = _named(own / "commondir", "", own)
    if shared is None:
        return (own,)  # a submodule
    return (own, *(folder for name in _SHARED if (folder := shared / name).is_dir()))


def _named(file: Path, start: str, base: Path) -> Path | None:
    """The folder that a one-line file names, relative to `base` where it is relative."""
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    except OSError:
        return None
    return (base / text.removeprefix(start)).resolve() if text.startswith(start) else None
