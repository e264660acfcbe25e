"""Checkpoints (E-9): names for places of the integration branch, and the refs that keep their commits from ever being
collected. What they are for is `wiring/rollback.py`; that they were made is in the journal. All functions block."""

from __future__ import annotations

import shlex

from maestro.model.events import Checkpoint
from maestro.model.ids import safe_name
from maestro.vcs.git import Git

CHECKPOINTS = "refs/maestro/checkpoints"

START = "start"
"""Before anything was landed; with `levels` also what the first level starts from."""


def name_of_group(group: str) -> str:
    """The checkpoint before a group."""
    return f"group-{group}"


def name_of_level(level: int) -> str:
    """The checkpoint before a level; the first one's is the start."""
    return f"level-{level}" if level else START


def checkpoint_ref(run_id: str, name: str) -> str:
    """The ref that keeps a checkpoint's commit."""
    return f"{CHECKPOINTS}/{run_id}/{safe_name(name)}"


def rollback_command(run_id: str, name: str) -> str:
    """What puts a run back to a checkpoint, as a shell takes it."""
    return f"maestro rollback --run-id {run_id} --to {shlex.quote(name)}"


def forget_checkpoints(git: Git, run_id: str) -> None:
    """Let go of all checkpoints of a run that nobody can put back any more."""
    refs = git.text("for-each-ref", "--format=delete %(refname)", f"{CHECKPOINTS}/{run_id}/")
    if refs:
        git.run("update-ref", "--stdin", stdin=f"{refs}\n".encode())


def keep(git: Git, run_id: str, checkpoint: Checkpoint) -> None:
    """Let the ref keep the commit; where the name was used before, the new commit counts: the rollback that made the
    old one meaningless has saved what was there."""
    git.run("update-ref", "-m", "maestro", checkpoint_ref(run_id, checkpoint.name), checkpoint.commit)
