"""One attempt is stopped as soon as its output tells more than it may use."""

from __future__ import annotations

import json

import pytest

from maestro.agents.base import Reader
from maestro.agents.command import CommandReader
from maestro.engine.metering import metered
from maestro.model.budget import Budgets, Kind
from tests.integration.priced_agent import PricedReader


def feed(reader: Reader, *costs: float) -> None:
    for cost in costs:
        reader.feed(json.dumps({"cost": cost, "tokens": 1000}).encode() + b"\n")


@pytest.mark.parametrize(
    ("budgets", "clause"),
    [
        ({Kind.ATTEMPT_USD: 0.25}, "0.3000 of 0.2500 USD"),
        ({Kind.ATTEMPT_TOKENS: 2500.0}, "3,000 of 2,500 tokens"),
        ({Kind.ATTEMPT_TOKENS: 2500.0, Kind.ATTEMPT_USD: 9.0}, "3,000 of 2,500 tokens"),
    ],
)
def test_it_is_stopped_once(budgets: Budgets, clause: str) -> None:
    stops: list[str] = []
    reader = metered(PricedReader(), budgets, stops.append)
    feed(reader, 0.1, 0.1)
    assert stops == []
    feed(reader, 0.1, 0.1, 0.1)
    assert stops == [f"the budget of the attempt is spent: {clause}"]
    assert reader.verdict(0, "").usage.input_tokens == 5000


def test_a_budget_used_up_to_the_last_token_stops_nothing() -> None:
    stops: list[str] = []
    feed(metered(PricedReader(), {Kind.ATTEMPT_TOKENS: 2000.0}, stops.append), 0.1, 0.1)
    assert stops == []


def test_one_that_has_said_its_end_is_not_stopped() -> None:
    stops: list[str] = []
    inner = PricedReader()
    reader = metered(inner, {Kind.ATTEMPT_USD: 0.05}, stops.append)
    inner.ended = True
    feed(reader, 0.1)
    assert (stops, reader.ended) == ([], True)


def test_without_a_budget_of_its_own_or_figures_on_the_way_the_reader_stays_as_it_is() -> None:
    for reader in (PricedReader(), CommandReader()):
        assert metered(reader, {Kind.RUN_USD: 1.0}, print) is reader
    silent = CommandReader()
    assert metered(silent, {Kind.ATTEMPT_USD: 1.0}, print) is silent
