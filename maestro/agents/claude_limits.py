"""When a usage limit ends, read from the words of the provider.

Texts seen: "Claude AI usage limit reached|1762156800", "You've hit your session limit · resets 3pm (Europe/Berlin)",
"limit will reset at 10:30 am (UTC)", "resets Nov 3, 10am", "retry after 120 seconds", "try again in 5 minutes".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_EPOCH = re.compile(r"\|\s*(\d{10})\b")
_ISO = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))")
_DELAY = re.compile(r"\b(?:retry|try again)[ -](?:after|in):?\s+(\d+)\s*(ms\b|millis|s|m|h|d)?", re.IGNORECASE)
_CLOCK = re.compile(
    r"\bresets?\s+(?:at\s+)?(?:on\s+)?(?:([A-Z][a-z]{2})[a-z]*\s+(\d{1,2})(?:,|\s)\s*(?:at\s+)?)?"
    r"(\d{1,2})(?::(\d\d))?\s*([ap]m)?\s*(?:\(([^()]*)\))?",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"usage limit|hit your .{0,40}limit|\blimit reached|rate limit|credit balance", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_JUST_OVER = timedelta(minutes=10)
"""A time of day is named without its seconds, often without its minutes: one so long ago is now, not tomorrow."""
_UNITS = {"ms": 0.001, "millis": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def speaks_of_limit(text: str) -> bool:
    """Whether an error text is about a limit of usage or spending."""
    return _LIMIT.search(text) is not None


def reset_time(text: str, now: datetime) -> datetime | None:
    """The moment (aware, UTC) a text names as the end of a limit; None when it names none. `now` is aware."""
    try:
        if match := _EPOCH.search(text):
            return datetime.fromtimestamp(int(match[1]), UTC)
        if match := _ISO.search(text):
            return datetime.fromisoformat(match[1]).astimezone(UTC)
        if match := _DELAY.search(text):
            return now.astimezone(UTC) + timedelta(seconds=int(match[1]) * _UNITS[(match[2] or "s").lower()])
        if match := _CLOCK.search(text):
            return _next(match, now)
    except (ValueError, OverflowError, OSError):  # no such hour, no such day, no such time zone
        return None
    return None


def _next(match: re.Match[str], now: datetime) -> datetime | None:
    """The next moment at which a clock in that zone shows the named time, or the last where that is just over."""
    month, day, hour, minute, half, zone = match.groups()
    if not (minute or half):
        return None  # "resets 3" says nothing
    local = now.astimezone(_zone(zone))
    hours = int(hour) % 12 + (12 if half.lower() == "pm" else 0) if half else int(hour)
    moment = local.replace(hour=hours, minute=int(minute or 0), second=0, microsecond=0)
    if month:
        moment = moment.replace(month=_MONTHS.index(month.lower()) + 1, day=int(day))
        if moment < local - timedelta(days=180):
            moment = moment.replace(year=moment.year + 1)
        elif moment > local + timedelta(days=180):
            moment = moment.replace(year=moment.year - 1)
    elif moment < local - _JUST_OVER:
        moment += timedelta(days=1)
    return moment.astimezone(UTC)


def _zone(name: str | None) -> tzinfo | None:
    """None is the machine's own zone."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no such time zone: {name}") from error
