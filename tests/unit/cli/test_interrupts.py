"""Signals before a run has begun and after it has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import field_serializer
from pydantic_core import PydanticSerializationError

from maestro.cli.interrupts import NUMBERS, Interrupts
from maestro.model.events import RunEnded
from maestro.model.record import Record
from maestro.model.states import RunStatus


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_while_a_run_begins_each_of_them_is_an_interrupt_and_the_next_ones_are_none(number: signal.Signals) -> None:
    def begin() -> None:
        with Interrupts():
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        begin()
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", NUMBERS)
def test_after_the_end_of_the_run_none_is_heard(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        interrupts.notify(RunEnded(at=datetime.now(UTC), status=RunStatus.COMPLETED))
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)


def test_what_was_refused_leaves_the_signals_as_they_were() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(ValueError, match="refused"), Interrupts():
        raise ValueError("refused")
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_an_interrupt_within_native_code_is_one_all_the_same() -> None:
    class Interrupted(Record):
        at: str

        @field_serializer("at")
        def written(self, at: str) -> str:
            os.kill(os.getpid(), signal.SIGINT)
            return at

    with pytest.raises(KeyboardInterrupt) as caught, Interrupts():
        Interrupted(at="here").model_dump_json()
    assert isinstance(caught.value.__cause__, PydanticSerializationError)  # or the test tries nothing
