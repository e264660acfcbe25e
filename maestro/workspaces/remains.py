"""What a coordinator that died in the middle of an act leaves of workspaces: neither there nor gone (E-6)."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.store.filelocks import locked
from maestro.vcs.git import Git
from maestro.workspaces.base import GATE_BENCH
from maestro.workspaces.links import worktrees_of
from maestro.workspaces.marker import decode_path, is_empty, read_marker
from maestro.workspaces.parking import PARKED
from maestro.workspaces.removal import remove_tree
from maestro.workspaces.site import LOCK


def clear_remains(git: Git, root: Path, run_id: str) -> None:
    """Remove folders below `root`, where the run's workspaces stand, that hold no files any more, what git knows of
    them, and the branch of the gate's bench. Nobody may work on the run meanwhile."""
    if not root.is_dir():
        return  # its disk may only not be there today; the folder it is mounted on always is
    for home in root.iterdir():
        if home.name.startswith(("task-", PARKED)):
            _clear_home(home, run_id)
    inside = Path(os.path.realpath(root))
    with locked(git.common_dir() / LOCK):
        for admin, place in worktrees_of(git.common_dir()):
            if place.is_relative_to(inside) and not place.exists():
                shutil.rmtree(admin, ignore_errors=True)
    if not (root / f"task-{GATE_BENCH}").exists():
        git.run("update-ref", "-d", f"refs/heads/maestro/{run_id}/{GATE_BENCH}", ok=(0, 1, 128))


def _clear_home(home: Path, run_id: str) -> None:
    """One that is empty, or whose files went elsewhere or are gone; one that cannot be read stays."""
    with contextlib.suppress(OSError, WorkspaceError):
        marker = read_marker(home)
        if is_empty(home) or (marker is not None and marker.run_id == run_id and not decode_path(marker.repo).exists()):
            remove_tree(home)
