"""What gemini says about limits of usage, and when they end.

Texts seen: "[API Error: You have exhausted your daily quota on this model.]", "[API Error: Quota exceeded.
Suggested retry after 400s.]", "Please retry in 30.5s.", "The model is overloaded. Please try again later.", "Your
quota will reset after 3h20m5s."
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LIMIT = re.compile(
    r"(?<!disk )\bquota\b|\boverloaded\b|RESOURCE_EXHAUSTED|rate limit|high demand|credit balance", re.IGNORECASE
)
_STATUS = frozenset({429, 529})
_DAILY = re.compile(r"daily quota", re.IGNORECASE)
_DELAY = re.compile(
    r"\b(?:retry (?:after|in)|reset after)\s+(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.IGNORECASE
)


def is_limit(text: str, status: int | None) -> bool:
    """Whether an error of gemini is a limit of usage or an overload."""
    return status in _STATUS or _LIMIT.search(text) is not None


def limit_ends(text: str, now: datetime) -> datetime | None:
    """The moment (aware, UTC) the text names; None when it names none. Daily quotas begin anew at midnight Pacific."""
    delays = [
        timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0))
        for hours, minutes, seconds in _DELAY.findall(text)
    ]
    if any(delays):
        return now.astimezone(UTC) + max(delays)
    return _midnight_pacific(now) if _DAILY.search(text) else None


def _midnight_pacific(now: datetime) -> datetime | None:
    try:
        pacific = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # a machine without time zones
        return None
    tomorrow = now.astimezone(pacific).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=pacific).astimezone(UTC)
