"""What codex says about limits of usage, and when they end.

Texts seen: "You’ve hit your usage limit. Upgrade to Pro (…) or try again at 5:54 PM.", "… try again at Nov 25th, 2026
3:14 AM.", "… Try again in 3 days 2 hours.", "exceeded retry limit, last status: 429 Too Many Requests", "unexpected
status 529 …", "Selected model is at capacity. …", "Quota exceeded. Check your plan and billing details."
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from maestro.agents.claude_limits import speaks_of_limit

_LIMIT = re.compile(r"\bstatus:? (?:429|529)\b|\bat capacity\b|(?<!disk )quota exceeded", re.IGNORECASE)
_AT = re.compile(
    r"try again at\s+(?:(?P<month>[A-Z][a-z]{2})[a-z]*\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,\s*(?P<year>\d{4}),?\s+)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)\s*(?P<half>[AP]M)",
    re.IGNORECASE,
)
_IN = re.compile(r"try again in\s+((?:\d+\s*(?:days?|hours?|minutes?|seconds?)[\s,]*)+)", re.IGNORECASE)
_PART = re.compile(r"(\d+)\s*(day|hour|minute|second)", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def is_limit(text: str) -> bool:
    """Whether an error of codex is a limit of usage, overload or spending."""
    return speaks_of_limit(text) or _LIMIT.search(text) is not None


def limit_ends(text: str, now: datetime) -> datetime | None:
    """The moment (aware, UTC) the text names; None when it names none. codex speaks the machine's own time."""
    try:
        if match := _AT.search(text):
            return _moment(match, now)
        if match := _IN.search(text):
            parts = {f"{unit.lower()}s": int(number) for number, unit in _PART.findall(match[1])}
            return now.astimezone(UTC) + timedelta(**parts)
    except (ValueError, OverflowError):  # no such day, no such hour
        return None
    return None


def _moment(match: re.Match[str], now: datetime) -> datetime:
    local = now.astimezone()
    hour = int(match["hour"]) % 12 + (12 if match["half"].lower() == "pm" else 0)
    if match["month"]:
        month = _MONTHS.index(match["month"].lower()) + 1
        named = datetime(int(match["year"]), month, int(match["day"]), hour, int(match["minute"]))  # noqa: DTZ001
        return named.astimezone().astimezone(UTC)
    moment = local.replace(hour=hour, minute=int(match["minute"]), second=0, microsecond=0)
    just_over = local - timedelta(minutes=10)  # its seconds are not named: one just over is now, not tomorrow
    return (moment if moment > just_over else moment + timedelta(days=1)).astimezone(UTC)
