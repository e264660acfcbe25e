"""Runs that leave something here and are kept elsewhere: in the repository that this one was copied from, or in
another worktree of it, which has the same branches and may have the same folder for workspaces (W-6)."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from maestro.store.belonging import is_kept_in, original_of
from maestro.store.layout import Layout
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_worktrees


class Elsewhere:
    """What is asked once for all runs."""

    def __init__(self, git: Git, layout: Layout) -> None:
        self._git = git
        self._layout = layout

    def keeper_of(self, run_id: str) -> Path | None:
        """Where the run is kept, if not here."""
        if self._layout.run(run_id).is_dir():
            return original_of(self._layout, run_id)
        return next((one for one in self._beside if is_kept_in(one, run_id, self._layout)), None)

    def words(self, run_id: str) -> str | None:
        """The same as a clause."""
        keeper = self.keeper_of(run_id)
        if keeper is None:
            return None
        if self._layout.run(run_id).is_dir():
            return f"run {run_id} belongs to {keeper}, of which this repository is a copy"
        return f"run {run_id} belongs to {keeper}, another worktree of this repository"

    @cached_property
    def _beside(self) -> list[Path]:
        """The other worktrees in which maestro has run."""
        here = os.path.realpath(self._layout.repository)
        listed = parse_worktrees(self._git.run("worktree", "list", "--porcelain", "-z").stdout)
        others = [Path(entry.path) for entry in listed if os.path.realpath(entry.path) != here]
        return [one for one in others if Layout(one).runs.is_dir()]
