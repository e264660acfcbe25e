"""What work has used up, and the budgets it is held against (A-7): values and arithmetic only.

A cost is what the agent's CLI says it is; nothing here knows a price.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from maestro.model.outcome import Usage
from maestro.model.record import Record


class Kind(StrEnum):
    """What is limited, as the key of the setting says it."""

    RUN_USD = "budget"
    RUN_TOKENS = "budget_tokens"
    RUN_SECONDS = "budget_seconds"
    DAY_USD = "day_budget"
    DAY_TOKENS = "day_budget_tokens"
    ATTEMPT_USD = "attempt_budget"
    ATTEMPT_TOKENS = "attempt_budget_tokens"

    @property
    def flag(self) -> str:
        """As it is given on a command line."""
        value = "N" if self.is_tokens else "SECONDS" if self is Kind.RUN_SECONDS else "USD"
        return f"--{self.value.replace('_', '-')} {value}"

    @property
    def is_usd(self) -> bool:
        """Whether it needs an agent that tells what it costs."""
        return self in (Kind.RUN_USD, Kind.DAY_USD, Kind.ATTEMPT_USD)

    @property
    def is_tokens(self) -> bool:
        """Whether it needs an agent that tells its tokens."""
        return self in (Kind.RUN_TOKENS, Kind.DAY_TOKENS, Kind.ATTEMPT_TOKENS)

    @property
    def is_of_run(self) -> bool:
        """Whether one run alone is limited."""
        return self in (Kind.RUN_USD, Kind.RUN_TOKENS, Kind.RUN_SECONDS)

    @property
    def is_of_day(self) -> bool:
        """Whether all runs of the repository are limited together."""
        return self in (Kind.DAY_USD, Kind.DAY_TOKENS)

    @property
    def is_of_attempt(self) -> bool:
        """Whether it stops one attempt; the others keep new ones from starting."""
        return self in (Kind.ATTEMPT_USD, Kind.ATTEMPT_TOKENS)

    @property
    def whose(self) -> str:
        """What is limited, for sentences."""
        if self.is_of_attempt:
            return "the attempt"
        return "the day" if self.is_of_day else "the run"


Budgets = dict[Kind, float]
"""The budgets that are set: US dollars, tokens (input and output together) or seconds of wall time."""


class Spent(Record):
    """What ended attempts have used. None: no agent has said."""

    cost_usd: float | None = None
    tokens: int | None = None
    without_cost: int = 0  # attempts whose agent worked and did not say what it cost
    without_tokens: int = 0
    conversations: dict[str, tuple[float, int]] = Field(
        default_factory=dict
    )  # of agents that count a whole conversation: what it had

    def plus(self, usage: Usage, *, worked: bool = True) -> Spent:
        """With one more attempt. `worked`: its agent was started, so that it should have said what it used."""
        cost, tokens = self.new_in(usage)
        conversations = self.conversations
        if _counts_again(usage):
            had = conversations.get(usage.session_id or "", (0.0, 0))
            now = (had[0] + (cost or 0.0), had[1] + (tokens or 0))
            conversations = {**conversations, usage.session_id or "": now}
        return Spent(
            cost_usd=self.cost_usd if cost is None else (self.cost_usd or 0.0) + cost,
            tokens=self.tokens if tokens is None else (self.tokens or 0) + tokens,
            without_cost=self.without_cost + (worked and cost is None),
            without_tokens=self.without_tokens + (worked and tokens is None),
            conversations=conversations,
        )

    def new_in(self, usage: Usage) -> tuple[float | None, int | None]:
        """Cost and tokens of an attempt without what earlier attempts in its conversation have told already."""
        cost, tokens = usage.cost_usd, tokens_of(usage)
        had = self.conversations.get(usage.session_id or "", (0.0, 0)) if _counts_again(usage) else (0.0, 0)
        return (
            None if cost is None else max(cost - had[0], 0.0),
            None if tokens is None else max(tokens - had[1], 0),
        )


def _counts_again(usage: Usage) -> bool:
    return usage.whole_conversation and usage.session_id is not None


def tokens_of(usage: Usage) -> int | None:
    """Input and output together; None where neither is told."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


class Standing(Record):
    """One budget and what of it is used up."""

    kind: Kind
    limit: float
    spent: float

    @property
    def overshoot(self) -> float:
        """What was used beyond it."""
        return max(self.spent - self.limit, 0.0)

    @property
    def share(self) -> float:
        """1.0: all of it."""
        return self.spent / self.limit

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.limit

    def clause(self) -> str:
        """The figures, for people: "0.62 of 0.50 USD"."""
        return f"{self._figure(self.spent)} of {self._figure(self.limit)} {self._unit}"

    def excess(self) -> str:
        """What was used beyond it, for people; empty where nothing was."""
        return f"{self._figure(self.overshoot)} {self._unit}" if self.overshoot else ""

    def figures(self) -> dict[str, float]:
        """For programs."""
        places = 6 if self.kind.is_usd else 3
        limit, spent, over = (round(one, places) for one in (self.limit, self.spent, self.overshoot))
        return {"limit": limit, "spent": spent, "overshoot": over}

    @property
    def _unit(self) -> str:
        return "USD" if self.kind.is_usd else "tokens" if self.kind.is_tokens else "s"

    def _figure(self, value: float) -> str:
        if self.kind.is_usd:
            return f"{value:.2f}" if self.limit >= 1 else f"{value:.4f}"
        return f"{value:,.0f}" if self.kind.is_tokens else f"{value:.1f}".removesuffix(".0")


def standings(limits: Budgets, run: Spent, run_seconds: float, day: Spent) -> tuple[Standing, ...]:
    """How the budgets of a run and a day stand; those of attempts are looked at while each is under way."""
    spent = {
        Kind.RUN_USD: run.cost_usd or 0.0,
        Kind.RUN_TOKENS: run.tokens or 0,
        Kind.RUN_SECONDS: run_seconds,
        Kind.DAY_USD: day.cost_usd or 0.0,
        Kind.DAY_TOKENS: day.tokens or 0,
    }
    return tuple(Standing(kind=kind, limit=limits[kind], spent=spent[kind]) for kind in spent if kind in limits)
