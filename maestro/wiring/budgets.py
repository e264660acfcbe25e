"""Refuses budgets that nobody could keep (A-7): the figures are the agent's own, and not every agent has some."""

from __future__ import annotations

from maestro.agents.base import Agent, Told
from maestro.errors import BadInput
from maestro.model.budget import Budgets, Kind


def check_budgets(budgets: Budgets, agent: Agent) -> None:
    """BadInput for a budget in what the agent does not tell, or not early enough to stop an attempt at it."""
    for kind in budgets:
        told = Told.COST if kind.is_usd else Told.TOKENS if kind.is_tokens else None
        if told is None:
            continue
        what = "what it costs" if told is Told.COST else "its tokens"
        if told not in agent.tells:
            raise BadInput(
                f"{kind.value} cannot be kept: the agent {agent.name} does not tell {what}",
                hint=_instead(kind, agent),
            )
        if kind.is_of_attempt and told not in agent.bounds:
            raise BadInput(
                f"{kind.value} cannot be kept: the agent {agent.name} tells {what} only at its end",
                hint=f"{_of_run(kind)} stops new starts; --task-timeout bounds one attempt",
            )


def _instead(kind: Kind, agent: Agent) -> str:
    if kind.is_usd and Told.TOKENS in agent.tells and not kind.is_of_attempt:
        tokens = Kind.DAY_TOKENS if kind is Kind.DAY_USD else Kind.RUN_TOKENS
        return f"it tells its tokens: {tokens.flag}"
    if kind.is_of_attempt:
        return "--task-timeout bounds one attempt"
    return f"{Kind.RUN_SECONDS.flag} bounds the time in which a run starts tasks"


def _of_run(kind: Kind) -> str:
    return (Kind.RUN_USD if kind.is_usd else Kind.RUN_TOKENS).flag
