"""Where the subagent of a task may write: in its own workspace. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Fence(NamedTuple):
    """Real paths, without symlinks: the workspace of a task and the user's repository (the same when in place)."""

    workspace: Path
    repository: Path

    def is_inside(self, path: Path) -> bool:
        """Whether the path is the task's own."""
        return path.is_relative_to(self.workspace)

    def is_foreign(self, path: Path) -> bool:
        """Whether the path is the user's checkout, or the workspace of another task: what nobody else may write."""
        if self.is_inside(path) or self.workspace == self.repository:
            return False
        of_the_task, root = self.workspace.parent, self.workspace.parent.parent
        if path.is_relative_to(self.repository):
            return True
        return path.is_relative_to(root) and path != root and not path.is_relative_to(of_the_task)

    def instead(self, path: Path) -> Path:
        """The same place in the workspace."""
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
