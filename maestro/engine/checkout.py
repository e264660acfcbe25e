"""Keeps an eye on the user's checkout while agents work elsewhere (W-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

from maestro.clock import Clock
from maestro.engine.recorder import Recorder
from maestro.errors import MaestroError
from maestro.model.events import CheckoutChanged, Warned
from maestro.vcs.git import Git
from maestro.workspaces.culprit import AttemptTrace, trace
from maestro.workspaces.guard import CheckoutState, compare, snapshot

COST_FACTOR = 20.0
"""Between two looks pass at least so many times what a look costs: at most 5 % of one core goes into looking."""


class CheckoutWatch:
    """Compares the checkout with what it was, and traces changes to attempts."""

    def __init__(
        self,
        git: Git,
        own_paths: Collection[Path],
        recorder: Recorder,
        clock: Clock,
        attempts: Callable[[], Iterable[AttemptTrace]],
        leak_found: Callable[[str], Awaitable[None]],
    ) -> None:
        """`attempts` names those running or just ended; `leak_found` is awaited when one is to blame."""
        self._git = git
        self._own_paths = own_paths
        self._recorder = recorder
        self._clock = clock
        self._attempts = attempts
        self._leak_found = leak_found
        self._state: CheckoutState | None = None
        self._next_look = 0.0
        self._lock = asyncio.Lock()
        self._said = ""

    async def start(self) -> None:
        """Remember the checkout as it is."""
        self._state = await asyncio.to_thread(snapshot, self._git, self._own_paths)

    async def _cannot_look(self, error: Exception) -> None:
        """Say it, once for each reason."""
        if self._said != (said := str(error)):
            self._said = said
            message = f"your checkout could not be compared with what it was: {said}"
            await self._recorder.record(Warned(at=self._clock.now(), message=message))

    def is_due(self) -> bool:
        """Whether the last look is long enough ago."""
        return self._state is not None and not self._lock.locked() and self._clock.monotonic() >= self._next_look

    async def look(self) -> None:
        """Compare now; a change is said once and then taken as the new state."""
        async with self._lock:
            before = self._state
            if before is None:
                return
            started = self._clock.monotonic()
            traces = tuple(self._attempts())
            try:
                after = await asyncio.to_thread(snapshot, self._git, self._own_paths)
            except (MaestroError, OSError) as error:  # the user is at work there: no reason to end the run
                await self._cannot_look(error)
                return
            took = self._clock.monotonic() - started
            self._next_look = self._clock.monotonic() + COST_FACTOR * took
            changes = compare(before, after)
            if not changes:
                return
            self._state = after
            found = await asyncio.to_thread(trace, changes, self._git.directory, traces)
            said = tuple(change.what for change in changes)
            await self._recorder.record(
                CheckoutChanged(
                    at=self._clock.now(),
                    changes=said,
                    task=found.task if found else None,
                    evidence=found.evidence if found else "",
                )
            )
            if found is not None:
                await self._leak_found(f"task {found.task} changed your checkout: {'; '.join(said)} ({found.evidence})")
