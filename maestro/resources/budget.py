"""The ledger of a run's budgets (A-7): what of them is used up, and what is to be said and done about it.

Pure: it is told the figures and answers with words. A budget is warned of once, at 80 %; at 100 % nothing new is to
start. What runs then finishes, so that a budget is overshot by what was running, and never by more.
"""

from __future__ import annotations

from collections.abc import Iterable

from maestro.model.budget import Kind, Spent, Standing
from maestro.model.record import Record

WARN_AT = 0.8


class Verdict(Record):
    """What a look at the budgets came to."""

    warnings: tuple[str, ...] = ()  # to be said now, each once in a run
    exhausted: str | None = None  # why nothing new may start, and what goes on with it


class Ledger:
    """Remembers what was said."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._said: set[Kind | str] = set()

    def look(self, standings: Iterable[Standing], run: Spent) -> Verdict:
        """Judge the budgets as they stand; `run` is what this run has used."""
        warnings: list[str] = []
        spent: list[Standing] = []
        for standing in standings:
            if standing.is_spent:
                spent.append(standing)
            elif standing.share >= WARN_AT and self._first(standing.kind):
                share = int(standing.share * 100)
                warnings.append(f"{share} % of the budget of {standing.kind.whose} is spent: {standing.clause()}")
            warnings += self._unmeasured(standing, run)
        return Verdict(warnings=tuple(warnings), exhausted=self._sentence(spent) if spent else None)

    def _unmeasured(self, standing: Standing, run: Spent) -> list[str]:
        """That attempts told nothing: said once for dollars and once for tokens."""
        kind = standing.kind
        silent = run.without_cost if kind.is_usd else run.without_tokens if kind.is_tokens else 0
        what = "what it cost" if kind.is_usd else "its tokens"
        if not silent or not self._first(what):
            return []
        return [f"an attempt ended without saying {what}: the budget of {kind.whose} cannot count such attempts"]

    def _first(self, said: Kind | str) -> bool:
        new = said not in self._said
        self._said.add(said)
        return new

    def _sentence(self, spent: list[Standing]) -> str:
        whats = "; ".join(f"the budget of {one.kind.whose} is spent: {one.clause()}" for one in spent)
        resume = f"maestro resume --run-id {self._run_id}"
        flags = " ".join(one.kind.flag for one in spent)
        if all(one.kind.is_of_day for one in spent):
            return f"{whats} since midnight; `{resume}` goes on tomorrow, `{resume} {flags}` now"
        return f"{whats}; `{resume} {flags}` goes on with a larger one"
