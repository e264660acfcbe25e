"""JSON as text: read strictly, and one member of one object changed with every other byte kept.

The text is edited where the value stands, never dumped anew: indentation, key order, number forms, escapes and
line ends stay as their author wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from maestro.errors import BadInput

Place = tuple[str | int, ...]
"""Where a value is: keys and indices from the top."""

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def parse(text: str, name: str, *, first_line: int = 1) -> Any:
    """The value; BadInput with line and column. `first_line` is where the text begins in its file."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{name} is not valid JSON: {error.msg} (line {first_line + error.lineno - 1}, column {error.colno})",
            hint="one object per line is read from files named .jsonl" if error.msg == "Extra data" else "",
        ) from error
    except RecursionError as error:
        raise BadInput(f"{name} is nested too deeply to be a backlog") from error
    except ValueError as error:  # NaN, Infinity, a number of thousands of digits
        raise BadInput(f"{name} is not valid JSON: {error}") from error


class _Member(NamedTuple):
    key: str
    key_start: int
    key_end: int
    start: int
    end: int


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _members(text: str, at: int) -> Iterator[_Member]:
    """Members of the object that begins at `at`; the text is valid JSON."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, key_end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, key_end) + 1)
        _, end = _DECODER.raw_decode(text, start)
        yield _Member(key, at, key_end, start, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _element(text: str, at: int, index: int) -> int:
    """Where the element `index` of the array that begins at `at` begins."""
    at = _skip(text, at + 1)
    for _ in range(index):
        _, end = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, end) + 1)
    return at


def _find(text: str, place: Sequence[str | int]) -> int:
    at = _skip(text, 0)
    for step in place:
        if isinstance(step, int):
            at = _element(text, at, step)
        else:  # a key given twice counts with its last value, as every JSON reader has it
            at = [member.start for member in _members(text, at) if member.key == step][-1]
    return at


def set_member(text: str, place: Place, key: str, value: str) -> str:
    """`text` with the member `key` of the object at `place` set to the string `value`.

    A missing member is added after the last one, laid out like it. The text must be valid and hold the object.
    """
    start = _find(text, place)
    members = list(_members(text, start))
    written = json.dumps(value)
    for member in reversed(members):
        if member.key == key:
            return text[: member.start] + written + text[member.end :]
    if not members:
        return f"{text[: start + 1]}{json.dumps(key)}: {written}{text[start + 1 :]}"
    last = members[-1]
    colon = text[last.key_end : last.start]
    return f"{text[: last.end]},{_before(text, start, members)}{json.dumps(key)}{colon}{written}{text[last.end :]}"


def _before(text: str, start: int, members: list[_Member]) -> str:
    """The blanks that this object's author puts before a member that follows a comma."""
    first = members[0]
    opening = text[start + 1 : first.key_start]
    if "\n" in opening:
        return opening
    if len(members) > 1:
        return text[first.end : members[1].key_start].partition(",")[2]
    return text[first.key_end : first.start].partition(":")[2]


def value_at(document: Any, place: Place) -> Any:
    """The value at a place of parsed JSON."""
    for step in place:
        document = document[step]
    return document
