"""Budgets that the agent's figures cannot keep are refused before a run starts."""

from __future__ import annotations

import pytest

from maestro.agents.registry import AGENTS, make_agent
from maestro.errors import BadInput
from maestro.model.budget import Kind
from maestro.wiring.budgets import check_budgets

OPTIONS = {"command": {"command": "true"}}


def refused(name: str) -> set[Kind]:
    found = set()
    agent = make_agent(name, OPTIONS.get(name, {}))
    for kind in Kind:
        try:
            check_budgets({kind: 1.0}, agent)
        except BadInput:
            found.add(kind)
    return found


DOLLARS = {kind for kind in Kind if kind.is_usd}
TOKENS = {kind for kind in Kind if kind.is_tokens}


def test_which_agent_keeps_which_budget() -> None:
    late = DOLLARS | {Kind.ATTEMPT_TOKENS}
    assert {name: refused(name) for name in AGENTS} == {
        "claude": set(),
        "opencode": set(),
        "codex": late,
        "gemini": late,
        "droid": late,
        "cursor": late,
        "command": DOLLARS | TOKENS,
        "delegate": DOLLARS | TOKENS,
    }


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint"),
    [
        ("command", Kind.RUN_USD, "budget cannot be kept: the agent command does not tell what it costs", "--budget-s"),
        ("command", Kind.DAY_TOKENS, "day_budget_tokens cannot be kept: the agent command does not tell its", "--budg"),
        ("codex", Kind.DAY_USD, "the agent codex does not tell what it costs", "--day-budget-tokens N"),
        ("codex", Kind.ATTEMPT_USD, "the agent codex does not tell what it costs", "--task-timeout"),
        ("codex", Kind.ATTEMPT_TOKENS, "the agent codex tells its tokens only at its end", "--budget-tokens N stops"),
    ],
)
def test_the_refusal_says_what_could_be_kept(name: str, kind: Kind, message: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_budgets({Kind.RUN_SECONDS: 5.0, kind: 1.0}, make_agent(name, OPTIONS.get(name, {})))
    assert message in caught.value.message
    assert hint in caught.value.hint
