"""Where the subagent of a task may write: in its own workspace. Pure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WORKSPACE = "task-"
"""The folder of a task's workspace begins so; the folder they stand in may be one that others use too."""


def _as_it_is(path: Path) -> Path:
    return path


class Fence(NamedTuple):
    """Real paths, without symlinks: the workspace of a task and the user's repository (the same when in place).
    `real` sees through the symlinks of the paths that are asked about."""

    workspace: Path
    repository: Path
    real: Callable[[Path], Path] = _as_it_is

    def is_inside(self, path: Path) -> bool:
        """Whether the path is the task's own."""
        return self.real(path).is_relative_to(self.workspace)

    def is_foreign(self, path: Path) -> bool:
        """Whether the path is the user's checkout, or the workspace of another task: what nobody else may write."""
        if self.is_inside(path) or self.workspace == self.repository:
            return False
        path = self.real(path)
        of_the_task, root = self.workspace.parent, self.workspace.parent.parent
        if path.is_relative_to(self.repository):
            return True
        if not path.is_relative_to(root) or path.is_relative_to(of_the_task):
            return False
        return any(
            part.startswith(WORKSPACE) for part in path.relative_to(root).parts[:1]
        )  # what else is there is not ours

    def instead(self, path: Path) -> Path:
        """The same place in the workspace."""
        path = self.real(path)
        if path.is_relative_to(self.repository):
            return self.workspace / path.relative_to(self.repository)
        return self.workspace / path.name


def refuse_write(path: Path, fence: Fence) -> str | None:
    """Why a file may not be written, with the path to use instead; None where it may."""
    if fence.is_inside(path):
        return None
    return (
        f"maestro: your task has a checkout of its own, and {path} is outside of it: "
        f"write to {fence.instead(path)} instead"
    )
