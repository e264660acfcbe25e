"""Sees conflicts between running tasks before they meet at landing (M-3). It only warns: landing decides."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from maestro.engine.context import RunContext
from maestro.errors import GitError
from maestro.integration.overlaps import conflicts_with
from maestro.model.events import Warned
from maestro.vcs.refs import tips_of

MOST = 32
"""Other tasks that new work is compared with; each costs about 3 ms of git."""


class Lookahead:
    """Compares newly submitted work with what other workspaces have committed so far."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._said: set[frozenset[str]] = set()

    async def look(self, task: str, commit: str, bases: Mapping[str, str]) -> None:
        """Warn of each task whose commits so far cannot be merged with this one's, once for each pair.

        `bases`: the other tasks that agents work at, with the commit each of them started from.
        """
        try:
            found = await asyncio.to_thread(self._compare, commit, bases)
        except GitError:
            return  # a workspace was on its way out; landing looks again
        for other, paths in found:
            pair = frozenset((task, other))
            if pair not in self._said:
                self._said.add(pair)
                where = ", ".join(paths) or "their histories"
                message = (
                    f"{task} and {other} conflict in {where}: the one that lands second is done again on the new base"
                )
                await self._context.recorder.record(Warned(at=self._context.clock.now(), message=message, task=other))

    def _compare(self, commit: str, bases: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
        branches = {task: f"maestro/{self._context.run_id}/{self._context.names[task]}" for task in bases}
        found_tips = tips_of(self._context.git, branches.values())
        at = {task: found_tips.get(branch) for task, branch in branches.items()}
        tips = {task: tip for task, tip in at.items() if tip is not None and tip not in (bases[task], commit)}
        found = conflicts_with(self._context.git, commit, dict(list(tips.items())[:MOST]))
        return [(task, conflict.paths) for task, conflict in found]
