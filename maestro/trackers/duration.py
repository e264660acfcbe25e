"""Estimates: a number, or words such as "2h", "30 minutes", "1 week", as minutes of work."""

from __future__ import annotations

import math
import re

MINUTES = {"m": 1.0, "h": 60.0, "d": 8 * 60.0, "w": 5 * 8 * 60.0}
"""Working time: a day has 8 hours, a week 5 days."""

_PART = re.compile(
    r"(?P<low>\d+(?:\.\d+)?)(?:\s*(?:-|–|to)\s*(?P<high>\d+(?:\.\d+)?))?\s*"
    r"(?P<unit>m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:(?:ee)?ks?)?)(?![a-z])",
    re.IGNORECASE,
)


def minutes_of(value: object, *, number_is: str = "m") -> float | None:
    """Minutes, or None where the value is no duration (negative, zero and NaN are none).

    A bare number counts in the unit `number_is` ("m", "h", "d", "w"); "1h 30m" adds up; "2-3 hours" is their middle.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        total = _sum_of(value, number_is)
    elif isinstance(value, int | float):
        total = float(value) * MINUTES[number_is]
    else:
        return None
    return total if total > 0 and math.isfinite(total) else None


def _sum_of(text: str, number_is: str) -> float:
    try:
        return float(text) * MINUTES[number_is]
    except ValueError:
        pass
    total = 0.0
    for part in _PART.finditer(text):
        low = float(part["low"])
        middle = (low + float(part["high"])) / 2 if part["high"] else low
        total += middle * MINUTES[part["unit"][0].lower()]
    return total
