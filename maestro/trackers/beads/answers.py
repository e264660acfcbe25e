"""What `bd` prints, as values. Pure.

A notice may stand before the JSON, and `BD_JSON_ENVELOPE` puts everything into `{"schema_version", "data"}`. An empty
answer is never a success: 0.47 says so when it did nothing at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from maestro.errors import TrackerError

_LOCKED = re.compile(
    r"database is locked|SQLITE_BUSY|exclusive lock|Error 1213|Error 1205|serialization|circuit breaker|"
    r"read.only(?! mode)",
    re.IGNORECASE,
)


def is_locked(stderr: str) -> bool:
    """Whether bd says that somebody else is at the database. It also warns of what does not matter."""
    return any(_LOCKED.search(line) for line in stderr.splitlines() if not line.startswith("Warning"))


def value_in(stdout: str, what: str) -> Any:
    """The JSON value in an answer; TrackerError where there is none, or where it is an error."""
    for candidate in _candidates(stdout):
        value = _unwrapped(candidate)
        if isinstance(value, dict) and isinstance(value.get("error"), str):
            raise TrackerError(f"{what} failed: {first_line(value['error'])}")
        return value
    said = f": {first_line(stdout)}" if stdout.strip() else ""
    raise TrackerError(f"{what} gave {'no JSON' if said else 'an empty answer'}{said}")


def objects_in(stdout: str, what: str) -> list[dict[str, Any]]:
    """The objects of an answer that is a list of them, or a single one."""
    value = value_in(stdout, what)
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in found):
        raise TrackerError(f"{what} gave a list that holds something else than issues")
    return found


def lines_in(stdout: str, what: str) -> list[dict[str, Any]]:
    """The objects of an answer in JSON lines; notices may stand before the first. May be empty."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(stdout.split("\n"), 1):
        if not line.strip() or (not found and not line.startswith("{")):
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise TrackerError(f"{what} gave something that is not JSON in line {number}: {line[:80]}") from error
        if not isinstance(value, dict):
            raise TrackerError(f"{what} gave no object in line {number}: {line[:80]}")
        found.append(value)
    return found


def error_in(stdout: str, stderr: str) -> str:
    """What went wrong, in bd's own words: the error object of either stream, else the last word on stderr."""
    for text in (stdout, stderr):
        for candidate in _candidates(text):
            value = _unwrapped(candidate)
            if isinstance(value, dict) and isinstance(value.get("error"), str):
                return first_line(value["error"])
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    return first_line(errors[0].removeprefix("Error: ")) if errors else ""


def first_line(text: str) -> str:
    """The first line with something on it, cut to a sensible length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else ""


def _candidates(text: str) -> Iterator[Any]:
    """JSON values from a line's start to the end of the text; where there is none, those with more text behind."""
    starts = [match.start() for match in re.finditer(r"^[\[{]", text, re.MULTILINE)]
    for start in starts:
        try:
            yield json.loads(text[start:])
            return
        except ValueError:
            continue
    decoder = json.JSONDecoder()
    for start in starts:
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(value, dict) or (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            yield value
            return


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"schema_version", "data"}:
        return value["data"]
    return value
