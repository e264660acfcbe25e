"""Holds one attempt to its budget while it works, where its output tells what it uses (A-7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maestro.agents.base import Reader, TellsUsage, Verdict
from maestro.model.budget import Budgets, Kind, Standing, tokens_of
from maestro.model.outcome import Usage


class Metered:
    """A Reader around another one; `stop` is called once, with a clause, when more is used than it may."""

    def __init__(self, reader: Reader, meter: TellsUsage, budgets: Budgets, stop: Callable[[str], None]) -> None:
        self._reader = reader
        self._meter = meter
        self._budgets = budgets
        self._stop: Callable[[str], None] | None = stop
        self.ended = reader.ended
        self.heard = reader.heard

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Hand the bytes on. One that has said its end is not stopped any more: its work is paid for."""
        notes = self._reader.feed(chunk)
        self.ended, self.heard = self._reader.ended, self._reader.heard
        if self._stop is not None and not self.ended:
            over = next((one for one in attempt_standings(self._budgets, self._meter.usage()) if one.overshoot), None)
            if over is not None:
                self._stop(f"the budget of the attempt is spent: {over.clause()}")
                self._stop = None
        return notes

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """As the other one says."""
        return self._reader.verdict(exit_code, stderr_tail)


def metered(reader: Reader, budgets: Budgets, stop: Callable[[str], None]) -> Reader:
    """The reader, held to the budgets of an attempt where there are some and it can tell."""
    if isinstance(reader, TellsUsage) and any(kind.is_of_attempt for kind in budgets):
        return Metered(reader, reader, budgets, stop)
    return reader


def attempt_standings(budgets: Budgets, usage: Usage) -> tuple[Standing, ...]:
    """How the budgets of one attempt stand."""
    spent = {Kind.ATTEMPT_USD: usage.cost_usd, Kind.ATTEMPT_TOKENS: tokens_of(usage)}
    return tuple(
        Standing(kind=kind, limit=budgets[kind], spent=value)
        for kind, value in spent.items()
        if kind in budgets and value is not None
    )
