"""What an answer says of its key: whether it must rest, and how long (pure).

Read from retry-after, from the limit headers of Anthropic (`anthropic-ratelimit-requests-…`, times) and OpenAI
(`x-ratelimit-…-requests`, durations), and from Google's RetryInfo in the body of a refusal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LEAST_SECONDS = 0.05
FIRST_SECONDS = 5.0
GROWN_SECONDS = 60.0
NO_CREDIT_SECONDS = 3600.0
NO_KEY_SECONDS = 600.0
MOST_SECONDS = 24 * 3600.0

_DELAY = re.compile(rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def is_about_the_key(status: int, body: bytes = b"") -> bool:
    """Whether another key might be answered better: a limit, or a key that is not (or no longer) good or paid for."""
    return status in (401, 402, 429) or (may_be_about_credit(status) and b"credit balance is too low" in body)


def may_be_about_credit(status: int) -> bool:
    """Whether only the body says if it is about the key."""
    return status in (400, 403)


def rest_after_refusal(status: int, headers: Mapping[str, str], body: bytes, refusals: int, now: datetime) -> float:
    """Seconds the key must rest; `refusals` in a row so far, this one included."""
    if status == 401:
        return NO_KEY_SECONDS
    if status != 429:
        return NO_CREDIT_SECONDS
    named = _retry_after(headers, now)
    if named is None and (match := _DELAY.search(body)):
        named = float(match[1])
    if named is None and b"insufficient_quota" in body:
        named = NO_CREDIT_SECONDS
    if named is None:
        named = rest_after_answer(headers, now)
    if named is None:
        named = min(FIRST_SECONDS * 2 ** min(refusals - 1, 10), GROWN_SECONDS)
    return min(max(named, LEAST_SECONDS), MOST_SECONDS)


def rest_after_answer(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the key has requests left again, where the answer used up the last one; else None."""
    for left, reset in (
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ):
        if headers.get(left) == "0" and (seconds := _seconds_until(headers.get(reset, ""), now)) is not None:
            return min(max(seconds, LEAST_SECONDS), MOST_SECONDS)
    return None


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if not math.isnan(seconds):
            return max(seconds, 0.0)
    try:
        moment = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max((moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds(), 0.0)


def _seconds_until(text: str, now: datetime) -> float | None:
    """Until a moment (ISO 8601), or for a duration such as `6m0s`, `1.5s` or `20ms`."""
    match = _DURATION.fullmatch(text.strip())
    if match and any(match.groups()):
        hours, minutes, seconds, thousandths = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
