"""Frozen records: changed by making a new one.

Modules that are records and named tuples for the most part do without `from __future__ import annotations`: it makes
texts of their annotations, and each is compiled again by itself, which is a third of what a record costs at import.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Self

from pydantic import VERSION, BaseModel, ConfigDict

_LATER = tuple(int(part) for part in VERSION.split(".")[:2]) >= (2, 14)
"""Whether pydantic bears that threads meet at the first use of a record: only then is its check made as late as that.
There are some 150 records, of which an ordinary run uses a third."""


class Record(BaseModel):
    """Base of all values that cross a boundary; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=_LATER)

    def evolve(self, **changes: Any) -> Self:
        """The same record with some fields changed, checked again."""
        known = _known_as(type(self))
        return type(self).model_validate(
            {known.get(name, name): value for name, value in {**dict(self), **changes}.items()}
        )

    def __copy__(self) -> Self:
        """As pydantic's own, but with one set of the given fields for all copies of a class: nobody asks which were
        given, and a run keeps some copies for each of its tasks, of whose memory these sets would be more than half."""
        copied = type(self).__new__(type(self))
        object.__setattr__(copied, "__dict__", dict(self.__dict__))
        object.__setattr__(copied, "__pydantic_fields_set__", _all_fields(type(self)))
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied


@cache
def _known_as(record: type[Record]) -> dict[str, str]:
    """What validation asks for in place of a field's own name."""
    return {name: field.alias for name, field in record.model_fields.items() if field.alias is not None}


@cache
def _all_fields(record: type[Record]) -> set[str]:
    return set(record.model_fields)
