"""What attempts used, summed; budgets and their figures."""

from __future__ import annotations

import pytest

from maestro.model.budget import Kind, Spent, Standing, standings
from maestro.model.outcome import Usage


def test_nobody_said_is_not_nothing() -> None:
    assert (Spent().cost_usd, Spent().tokens) == (None, None)
    silent = Spent().plus(Usage())
    assert (silent.cost_usd, silent.tokens, silent.without_cost, silent.without_tokens) == (None, None, 1, 1)
    told = silent.plus(Usage(cost_usd=0.0, input_tokens=0))
    assert (told.cost_usd, told.tokens, told.without_cost, told.without_tokens) == (0.0, 0, 1, 1)


def test_costs_and_tokens_add_up_over_attempts() -> None:
    spent = Spent()
    for usage in (Usage(cost_usd=0.25, input_tokens=10, output_tokens=5), Usage(output_tokens=7), Usage(cost_usd=0.5)):
        spent = spent.plus(usage)
    assert (spent.cost_usd, spent.tokens) == (0.75, 22)
    assert (spent.without_cost, spent.without_tokens) == (1, 1)


def test_an_attempt_whose_agent_was_never_started_owes_no_figures() -> None:
    spent = Spent().plus(Usage(), worked=False)
    assert spent == Spent()


def test_a_conversation_that_counts_from_its_beginning_is_not_counted_twice() -> None:
    """codex: a resumed thread tells the tokens of before again."""
    spent = Spent()
    for tokens in (100, 250, 240):
        spent = spent.plus(Usage(input_tokens=tokens, session_id="t1", whole_conversation=True))
    assert spent.tokens == 250, "a count that shrinks takes nothing back"
    spent = spent.plus(Usage(input_tokens=30, session_id="t2", whole_conversation=True))
    assert spent.tokens == 280
    assert spent.plus(Usage(input_tokens=30, session_id="t2")).tokens == 310, "one that counts each turn adds up"


def test_a_run_read_back_from_json_goes_on_counting() -> None:
    spent = Spent().plus(Usage(cost_usd=0.1, input_tokens=5, session_id="t", whole_conversation=True))
    assert Spent.model_validate_json(spent.model_dump_json()) == spent


@pytest.mark.parametrize(
    ("kind", "limit", "spent", "clause", "excess"),
    [
        (Kind.RUN_USD, 0.15, 0.192, "0.1920 of 0.1500 USD", "0.0420 USD"),
        (Kind.DAY_USD, 20, 19.999, "20.00 of 20.00 USD", ""),
        (Kind.RUN_TOKENS, 1_000_000, 1_200_000, "1,200,000 of 1,000,000 tokens", "200,000 tokens"),
        (Kind.RUN_SECONDS, 3600, 3601.25, "3601.2 of 3600 s", "1.2 s"),
    ],
)
def test_figures_are_for_people_and_for_programs(
    kind: Kind, limit: float, spent: float, clause: str, excess: str
) -> None:
    standing = Standing(kind=kind, limit=limit, spent=spent)
    assert (standing.clause(), standing.excess()) == (clause, excess)
    assert standing.is_spent is bool(excess)
    figures = standing.figures()
    assert figures["overshoot"] == pytest.approx(max(spent - limit, 0))
    assert (figures["limit"], figures["spent"]) == (limit, pytest.approx(spent))


def test_only_budgets_that_are_set_stand_and_those_of_attempts_do_not() -> None:
    limits = {Kind.RUN_TOKENS: 10.0, Kind.DAY_USD: 1.0, Kind.ATTEMPT_USD: 0.5}
    found = standings(limits, Spent(cost_usd=3, tokens=4), 60.0, Spent(cost_usd=0.25))
    assert [(one.kind, one.spent) for one in found] == [(Kind.RUN_TOKENS, 4), (Kind.DAY_USD, 0.25)]


def test_each_kind_names_its_flag() -> None:
    assert {kind: kind.flag for kind in Kind} == {
        Kind.RUN_USD: "--budget USD",
        Kind.RUN_TOKENS: "--budget-tokens N",
        Kind.RUN_SECONDS: "--budget-seconds SECONDS",
        Kind.DAY_USD: "--day-budget USD",
        Kind.DAY_TOKENS: "--day-budget-tokens N",
        Kind.ATTEMPT_USD: "--attempt-budget USD",
        Kind.ATTEMPT_TOKENS: "--attempt-budget-tokens N",
    }
