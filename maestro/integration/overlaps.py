"""Who stands against whom: conflicts between running workspaces, and the tasks behind a conflict (M-3)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, islice

from maestro.integration.land import merge
from maestro.integration.message import TASK_TRAILER
from maestro.model.conflict import Conflict
from maestro.vcs.git import Git


def early_conflicts(git: Git, tips: Mapping[str, str], *, max_pairs: int = 500) -> list[tuple[str, str, Conflict]]:
    """Pairs of tasks whose work so far cannot be merged with each other, in the order of `tips`.

    `tips` maps a task to the last commit in its workspace. At most `max_pairs` pairs are looked at. Blocks.
    """
    found = []
    for (one, ours), (other, theirs) in islice(combinations(tips.items(), 2), max_pairs):
        merged = merge(git, ours, theirs)
        if isinstance(merged, Conflict):
            found.append((one, other, merged))
    return found


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
