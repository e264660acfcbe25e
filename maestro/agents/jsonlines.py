"""Cuts a growing output into its JSON objects, one a line; whatever else stands there is passed over."""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]

_LONGEST_LINE = 64 * 2**20


class JsonLines:
    """Takes bytes in any pieces, gives objects. Never raises on odd bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The objects of the lines that `chunk` ends."""
        *lines, rest = chunk.split(b"\n")
        events: list[Event] = []
        for line in lines:
            self._keep(line)
            events += self._line()
        self._keep(rest)
        return events

    def rest(self) -> list[Event]:
        """The object of a last line that was not ended, after the end of the output."""
        return self._line() if self._length else []

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        if self._length <= _LONGEST_LINE:
            self._parts.append(part)
        else:  # nothing an agent prints is that long; what follows up to the end of the line is dropped too
            self._parts.clear()

    def _line(self) -> list[Event]:
        line, self._length = b"".join(self._parts), 0
        self._parts.clear()
        if not line.lstrip().startswith(b"{"):
            return []
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return []
        return [event] if isinstance(event, dict) else []


def as_dict(value: object) -> Event:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float:
    """A finite number, else 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        return value
    return 0
