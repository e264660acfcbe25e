"""Copies of records are light: a run keeps some for each of its tasks."""

from __future__ import annotations

import tracemalloc

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
