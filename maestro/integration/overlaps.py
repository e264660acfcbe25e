"""Who stands against whom: conflicts between running workspaces, and the tasks behind a conflict (M-3)."""

from __future__ import annotations

from collections.abc import Mapping

from maestro.integration.land import merge
from maestro.integration.message import TASK_TRAILER
from maestro.model.conflict import Conflict
from maestro.vcs.git import Git


def conflicts_with(git: Git, commit: str, others: Mapping[str, str]) -> list[tuple[str, Conflict]]:
    """The tasks whose work so far cannot be merged with a commit, in the order given.

    `others` maps a task to the last commit in its workspace. Blocks, about 3 ms for each.
    """
    merged = ((task, merge(git, commit, theirs)) for task, theirs in others.items())
    return [(task, shape) for task, shape in merged if isinstance(shape, Conflict)]


def tasks_behind(git: Git, tip: str, conflict: Conflict) -> tuple[str, ...]:
    """The tasks whose landing since the conflict's base touched its paths, oldest first. Blocks."""
    if conflict.base is None or not conflict.paths:
        return ()
    done = git.run(
        "log", "-z", "--reverse", "--first-parent", f"--format=%(trailers:key={TASK_TRAILER},valueonly,separator=%x0A)",
        f"{conflict.base}..{tip}", "--", *conflict.paths,
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )  # fmt: skip
    values = done.stdout.decode("utf-8", "replace").replace("\0", "\n").split("\n")
    return tuple(dict.fromkeys(value for value in values if value))
