"""Holds a run against its budgets (A-7): warns at 80 %, and says when nothing new may start.

The figures are those of ended attempts, as their agents told them; they are folded with the run, so that a run which
is resumed knows what it used before. What other runs of the repository use is read from their lists at each look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from maestro.clock import midnight_before
from maestro.engine.context import RunContext
from maestro.engine.messages import Message, Nudge
from maestro.errors import StateError
from maestro.model.budget import Kind, Spent, Standing, standings
from maestro.model.events import BudgetsSet, Event, RunResumed, RunStarted, Warned
from maestro.resources.budget import WARN_AT, Ledger
from maestro.store.spent import SpentLists


class Spending:
    """The budgets of one run and of its day."""

    def __init__(self, context: RunContext, tell: Callable[[Message], None]) -> None:
        self._context = context
        self._tell = tell
        self._limits = context.options.budgets
        self._ledger = Ledger(context.run_id)
        self._lists = SpentLists(context.layout.spent)
        self._seconds_before = 0.0
        self._began: float | None = None  # by the monotonic clock

    def restore(self, events: Sequence[Event]) -> None:
        """Before `open`, in a run that is resumed: how long its earlier coordinators lived."""
        self._seconds_before = sum((last - first).total_seconds() for first, last in _lives(events))

    async def open(self) -> None:
        """The run begins, or goes on. Wall time is looked at when it has run out, whatever else happens."""
        self._began = self._context.clock.monotonic()
        if self._limits:
            await self._context.recorder.record(
                BudgetsSet(
                    at=self._context.clock.now(), limits=self._limits, seconds_before=round(self._seconds_before, 3)
                )
            )
        if (limit := self._limits.get(Kind.RUN_SECONDS)) is not None:
            for share in (WARN_AT, 1.0):
                left = max(limit * share - self._seconds_before, 0.0)
                asyncio.get_running_loop().call_later(left + 0.01, self._tell, Nudge())

    async def look(self) -> str | None:
        """Warn of what is nearly spent; why nothing new may start, where something is spent."""
        if not self._limits:
            return None
        try:
            found = self._standings(self._day())
        except StateError as error:  # what runs is paid for, and goes on
            resume = f"`maestro resume --run-id {self._context.run_id}` goes on"
            return f"what the day has used cannot be known: {error.message}; {resume}"
        if not found:
            return None
        verdict = self._ledger.look(found, self._context.recorder.run.spent)
        if verdict.warnings:
            now = self._context.clock.now()
            await self._context.recorder.record(*(Warned(at=now, message=one) for one in verdict.warnings))
        return verdict.exhausted

    def figures(self) -> dict[str, dict[str, float]] | None:
        """For the metrics of the run: limit, spent and overshoot of each budget, by its key; None without budgets."""
        try:
            day = self._day()
        except StateError:
            day = None
        return {one.kind.value: one.figures() for one in self._standings(day)} or None

    def _standings(self, day: Spent | None) -> tuple[Standing, ...]:
        """Without those of the day where nobody knows what it has used."""
        limits = {kind: limit for kind, limit in self._limits.items() if day is not None or not kind.is_of_day}
        return standings(limits, self._context.recorder.run.spent, self._seconds(), day or Spent())

    def _seconds(self) -> float:
        if self._began is None:
            return self._seconds_before
        return self._seconds_before + self._context.clock.monotonic() - self._began

    def _day(self) -> Spent:
        """Of all runs of the repository, this one included. StateError where it cannot be read."""
        if not any(kind.is_of_day for kind in self._limits):
            return Spent()
        now = self._context.clock.now()
        return self._lists.since(midnight_before(now), now)


def _lives(events: Sequence[Event]) -> list[tuple[datetime, datetime]]:
    """From when to when each coordinator of the run lived, by what it wrote."""
    lives: list[tuple[datetime, datetime]] = []
    for event in events:
        if isinstance(event, RunStarted | RunResumed) or not lives:
            lives.append((event.at, event.at))
        else:
            lives[-1] = (lives[-1][0], event.at)
    return lives
