"""The ledger of budgets: what is said once, and when nothing new may start."""

from __future__ import annotations

from maestro.model.budget import Budgets, Kind, Spent, standings
from maestro.resources.budget import Ledger, Verdict


def look(ledger: Ledger, limits: Budgets, run: Spent, seconds: float = 0.0, day: Spent | None = None) -> Verdict:
    return ledger.look(standings(limits, run, seconds, day or Spent()), run)


def test_a_budget_is_warned_of_once_at_eighty_percent() -> None:
    ledger, limits = Ledger("r1"), {Kind.RUN_USD: 1.0}
    assert look(ledger, limits, Spent(cost_usd=0.79)) == Verdict()
    said = look(ledger, limits, Spent(cost_usd=0.8))
    assert said.warnings == ("80 % of the budget of the run is spent: 0.80 of 1.00 USD",)
    assert said.exhausted is None
    assert look(ledger, limits, Spent(cost_usd=0.99)) == Verdict()


def test_each_budget_has_a_warning_of_its_own() -> None:
    ledger, limits = Ledger("r1"), {Kind.RUN_USD: 1.0, Kind.RUN_TOKENS: 10.0, Kind.RUN_SECONDS: 5.0, Kind.DAY_USD: 9.0}
    said = look(ledger, limits, Spent(cost_usd=0.9, tokens=9), 4.5, Spent(cost_usd=8.5))
    assert [warning.partition(":")[0] for warning in said.warnings] == [
        "90 % of the budget of the run is spent",
        "90 % of the budget of the run is spent",
        "90 % of the budget of the run is spent",
        "94 % of the budget of the day is spent",
    ]


def test_a_spent_budget_says_what_goes_on_with_the_run() -> None:
    said = look(Ledger("r1"), {Kind.RUN_USD: 0.5}, Spent(cost_usd=0.62))
    assert said.exhausted == (
        "the budget of the run is spent: 0.6200 of 0.5000 USD; "
        "`maestro resume --run-id r1 --budget USD` goes on with a larger one"
    )
    assert look(Ledger("r1"), {Kind.RUN_USD: 0.5}, Spent(cost_usd=0.5)).exhausted is not None


def test_two_spent_budgets_are_both_to_be_raised() -> None:
    limits = {Kind.RUN_TOKENS: 10.0, Kind.RUN_SECONDS: 60.0, Kind.RUN_USD: 5.0}
    said = look(Ledger("r1"), limits, Spent(tokens=12), 61.0).exhausted or ""
    assert "12 of 10 tokens" in said
    assert "61 of 60 s" in said
    assert "--run-id r1 --budget-tokens N --budget-seconds SECONDS`" in said


def test_a_spent_day_may_be_waited_out() -> None:
    said = look(Ledger("r1"), {Kind.DAY_TOKENS: 10.0}, Spent(), 0.0, Spent(tokens=10)).exhausted
    assert said == (
        "the budget of the day is spent: 10 of 10 tokens since midnight; "
        "`maestro resume --run-id r1` goes on tomorrow, `maestro resume --run-id r1 --day-budget-tokens N` now"
    )


def test_what_cannot_be_measured_is_said_once() -> None:
    ledger, limits = Ledger("r1"), {Kind.RUN_USD: 1.0, Kind.DAY_USD: 1.0, Kind.RUN_TOKENS: 5.0}
    assert look(ledger, limits, Spent()) == Verdict()
    said = look(ledger, limits, Spent(cost_usd=0.1, without_cost=1))
    assert said.warnings == (
        "an attempt ended without saying what it cost: the budget of the run cannot count such attempts",
    )
    assert look(ledger, limits, Spent(cost_usd=0.1, without_cost=2)) == Verdict()
    (tokens,) = look(ledger, limits, Spent(without_cost=2, without_tokens=1)).warnings
    assert "without saying its tokens" in tokens


def test_nothing_is_said_of_budgets_that_are_not_set() -> None:
    assert look(Ledger("r1"), {}, Spent(cost_usd=1e9, without_cost=3, without_tokens=3)) == Verdict()
