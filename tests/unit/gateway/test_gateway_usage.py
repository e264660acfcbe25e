"""Figures of answers that go by, in pieces of any size."""

from __future__ import annotations

import json

import pytest

from maestro.gateway.contract import Spent
from maestro.gateway.usage import Meter, Tally
from maestro.testing.wires.anthropic import Anthropic

BODY = {"model": "m"}
ANSWER = Anthropic().answer(BODY, 'I say "output_tokens": 9999 and \\"input_tokens\\": 9999,', [])


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_stream(size: int) -> None:
    stream = b"".join(Anthropic().stream(ANSWER))
    meter = Meter()
    for start in range(0, len(stream), size):
        meter.feed(stream[start : start + size])
    assert meter.spent() == Spent(requests=1, input_tokens=100, output_tokens=20)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 90, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3, "output_tokens": 20},
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120},
    ],
)
def test_one_object(usage: dict[str, int]) -> None:
    meter = Meter()
    meter.feed(json.dumps({"usage": usage}).encode())
    assert meter.spent() == Spent(requests=1, input_tokens=100, output_tokens=20)


def test_the_sums() -> None:
    tally = Tally()
    for output in (1, 2):
        tally.add("a", Spent(requests=1, input_tokens=10, output_tokens=output))
    tally.add("b", Spent(requests=1))
    assert tally.attempts() == {"a": Spent(requests=2, input_tokens=20, output_tokens=3), "b": Spent(requests=1)}
