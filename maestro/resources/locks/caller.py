"""Who calls `maestro lock`: an agent in a workspace, whose locks are those of the user's repository, or a user.

Answers without git and without the checks of the settings: a lock must cost a command next to nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maestro.errors import BadInput
from maestro.proc.marker import MARKER
from maestro.store.layout import Layout

_WORKSPACE = ".maestro-workspace.json"  # workspaces/marker.py has its whole shape


@dataclass(frozen=True)
class Caller:
    """Where the command belongs."""

    repository: Path | None  # None: its folder is in none
    run: str | None = None
    task: str | None = None


def find_caller(directory: Path, environ: Mapping[str, str], *, is_given: bool) -> Caller:
    """`is_given`: the user named the directory by -C, which is stronger than what an agent's variables say."""
    run, task = environ.get("MAESTRO_RUN_ID") or None, environ.get("MAESTRO_TASK_ID") or None
    named = environ.get("MAESTRO_REPOSITORY")
    if named and not is_given:
        if not Path(named).is_dir():
            raise BadInput(f"MAESTRO_REPOSITORY names {named}, which is not a directory", hint="unset it, or give -C")
        return Caller(Path(named), run, task)
    if (workspace := _workspace_above(directory)) is not None:
        return workspace
    top = next((one for one in (directory, *directory.parents) if (one / ".git").exists()), None)
    return Caller(top, None, task) if is_given else Caller(top, run, task)


def attempt_folder(caller: Caller, environ: Mapping[str, str]) -> Path | None:
    """Where what this attempt leaves is kept; None for a command of nobody's attempt."""
    parts = environ.get(MARKER, "").split("/")  # token, run, name of the task, number
    if caller.repository is None or len(parts) != 4 or parts[1] != caller.run or not parts[3].isdigit():
        return None
    folder = Layout(caller.repository).attempt(parts[1], parts[2], int(parts[3]))
    return folder if folder.is_dir() else None


def _workspace_above(directory: Path) -> Caller | None:
    for home in (directory, *directory.parents):
        try:
            marker = json.loads((home / _WORKSPACE).read_bytes())
            common = str(marker["common_dir"])
            run, task = str(marker["run_id"]), str(marker["task_id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        path = Path(os.fsdecode(bytes.fromhex(common[4:]))) if common.startswith("hex:") else Path(common)
        if Layout(path.parent).run(run).is_dir():
            return Caller(path.parent, run, task)
    return None
