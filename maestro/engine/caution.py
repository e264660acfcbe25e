"""The turn to one at a time (E-9): where too many landings fail, running many tasks at once costs more than it gains.

A landing is tried with every work that was handed to the landing queue. It fails where the work is sent back, for a
conflict or for tests that are red with it, or cannot be landed or judged at all. The counts are those of the run as
its journal tells it, so a run that is resumed goes on as carefully as it had become. It stays so until its end.
"""

from __future__ import annotations

from collections.abc import Callable

from maestro.engine.context import RunContext
from maestro.model.events import WentSequential

FEWEST = 4
"""Landings tried before the share of failed ones says anything."""


class Caution:
    """Decides when a run goes on sequentially, and holds back what would start beside another then."""

    def __init__(self, context: RunContext, waiting: Callable[[], int]) -> None:
        """`waiting`: how many finished tasks wait for their landing, or for the question whether they may land."""
        self._context = context
        self._waiting = waiting

    async def look(self) -> None:
        """After a landing has been tried."""
        run, options = self._context.recorder.run, self._context.options
        tried = run.landings + run.landings_failed
        if run.sequential is not None or options.max_parallel == 1 or tried < FEWEST:
            return
        if run.landings_failed / tried > options.sequential_above:
            reason = (
                f"{run.landings_failed} of {tried} landings failed, "
                f"which is more than {options.sequential_above:.0%} (sequential_above)"
            )
            await self._context.recorder.record(WentSequential(at=self._context.clock.now(), reason=reason))

    def holds_back(self, running: int) -> bool:
        """Whether nothing may start beside what is under way: the next one shall begin from all that has landed."""
        return self._context.recorder.run.sequential is not None and running + self._waiting() > 0
