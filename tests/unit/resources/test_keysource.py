"""A key for each attempt: which, and what a limit does to it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from maestro.resources.apikeys import ApiKey
from maestro.resources.keysource import KeyForEach, SeveralSources

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


def source(clock: Clock, *values: str, variable: str = "ANTHROPIC_API_KEY") -> KeyForEach:
    keys = [ApiKey(value=value, origin=value.upper()) for value in values]
    return KeyForEach(keys, variables=[variable], withheld=["A", "B", variable], clock=clock)


def key(of: KeyForEach, attempt: str) -> str:
    return of.environment(attempt)["ANTHROPIC_API_KEY"]


def test_the_key_that_fewest_have_comes_first_then_the_least_used() -> None:
    keys = source(Clock(), "a", "b")
    assert [key(keys, str(number)) for number in range(4)] == ["a", "b", "a", "b"]
    assert key(keys, "0") == "a"  # the same attempt, the same key
    keys.ended("1", None)
    assert key(keys, "4") == "b"
    for number in (0, 2, 3, 4):
        keys.ended(str(number), None)
    keys.ended("unknown", None)
    assert key(keys, "5") == "a"  # both had two, b three
    assert keys.base_url() is None
    assert set(keys.withheld()) == {"A", "B", "ANTHROPIC_API_KEY"}
    assert list(keys.secrets()) == ["a", "b"]


def test_a_limit_lets_one_key_rest_and_the_account_only_with_the_last() -> None:
    clock = Clock()
    keys = source(clock, "a", "b")
    assert (key(keys, "0"), key(keys, "1")) == ("a", "b")
    later, latest = NOW + timedelta(minutes=5), NOW + timedelta(minutes=9)
    keys.ended("0", latest)
    assert keys.rests_until() is None
    assert key(keys, "2") == "b"
    keys.ended("1", later)
    assert keys.rests_until() == later
    keys.ended("2", NOW)  # a shorter word of the same limit
    assert keys.rests_until() == later
    assert key(keys, "3") == "b"  # whose rest ends first
    clock.at = later
    assert keys.rests_until() is None
    keys.ended("unknown", latest)
    assert keys.rests_until() is None


def test_pools_of_several_providers_are_given_together() -> None:
    clock = Clock()
    one, other = source(clock, "a"), source(clock, "x", "y", variable="OPENAI_API_KEY")
    both = SeveralSources([one, other])
    assert both.environment("0") == {"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "x"}
    assert set(both.secrets()) == {"a", "x", "y"}
    assert set(both.withheld()) == {"A", "B", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"}
    assert both.base_url() is None
    both.ended("0", NOW + timedelta(minutes=1))
    assert both.rests_until() == NOW + timedelta(minutes=1)  # of the one that has no other key
    both.restore([])

    async def live() -> None:
        await both.start()
        await both.close()

    asyncio.run(live())
