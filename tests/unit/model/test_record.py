"""Records: copies are light, for a run keeps some for each of its tasks; threads may meet at the first use of one."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import Field, ValidationError

from maestro.model.record import Record


class Wide(Record):
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0
    e: int = 0
    f: int = 0


def test_a_copy_has_its_changes_and_leaves_the_other_as_it_was() -> None:
    first = Wide(a=1, b=2)
    second = first.model_copy(update={"b": 3})
    assert (first.b, second.b) == (2, 3)
    assert second == Wide(a=1, b=3)
    assert second.model_dump(exclude_defaults=True) == {"a": 1, "b": 3}
    assert hash(first) == hash(Wide(a=1, b=2))


class Known(Record):
    copy_files: tuple[str, ...] = Field(default=(), alias="copy")
    plain: int = 0


def test_a_field_that_is_known_by_another_name_stays_and_changes_with_the_others() -> None:
    known = Known(copy=("a",))
    assert known.evolve(plain=1) == Known(copy=("a",), plain=1)
    assert known.evolve(copy_files=("b", "c")).copy_files == ("b", "c")
    with pytest.raises(ValidationError):
        known.evolve(copy_files=3)
    with pytest.raises(ValidationError):
        known.evolve(unknown=3)


def test_copies_share_what_is_the_same_for_all() -> None:
    first = Wide(a=1, b=2, c=3, d=4, e=5, f=6)
    first.model_copy(update={"a": 0})
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        copies = [first.model_copy(update={"a": number}) for number in range(1000)]
        each = (tracemalloc.get_traced_memory()[0] - before) / len(copies)
    finally:
        tracemalloc.stop()
    assert each < 700, "a set of the given fields for each copy costs another 728 bytes"


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns all the time, so that they do meet."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_that_use_a_record_for_the_first_time_at_once_find_it_whole() -> None:
    for _ in range(20):

        class Inner(Record):
            number: int

        class Outer(Record):
            inner: Inner
            names: tuple[str, ...] = ()

        together = threading.Barrier(6)

        def use(turn: int, outer: type[Outer] = Outer, together: threading.Barrier = together) -> str:
            together.wait(20)
            with pytest.raises(ValidationError, match="names"):
                outer.model_validate({"inner": {"number": turn}, "names": 3})
            return outer.model_validate({"inner": {"number": turn}}).model_dump_json()

        with ThreadPoolExecutor(6) as threads:
            said = list(threads.map(use, range(6)))
        assert said == [f'{{"inner":{{"number":{turn}}},"names":[]}}' for turn in range(6)]
