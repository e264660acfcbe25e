from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from maestro.agents.codex_limits import is_limit, limit_ends

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
ENDS = [
    ("You’ve hit your usage limit. Upgrade to Pro (https://x) or try again at 5:54 PM.", "2026-11-21T17:54Z"),
    ("You’ve hit your usage limit. Try again at 9:05 AM.", "2026-11-22T09:05Z"),
    ("You’ve hit your usage limit. Try again at 12:00 AM.", "2026-11-22T00:00Z"),
    ("You’ve hit your usage limit. Try again at 3:29 PM.", "2026-11-21T15:29Z"),  # just over, not tomorrow
    ("You’ve hit your usage limit. Try again at 3:15 PM.", "2026-11-22T15:15Z"),
    ("… or try again at Nov 25th, 2026 3:14 AM.", "2026-11-25T03:14Z"),
    ("… try again at Jan 1st, 2027 12:30 PM.", "2027-01-01T12:30Z"),
    ("… Try again in 3 days 2 hours 5 minutes.", "2026-11-24T17:35Z"),
    ("… try again in 1 hour, 10 seconds", "2026-11-21T16:30:10Z"),
    ("You’ve hit your usage limit. Try again later.", None),
    ("… try again at Feb 31st, 2027 3:14 AM.", None),
    ("… try again at 25:99 PM.", None),
    ("… try again in 999999999999 days", None),
]


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("text", "end"), ENDS)
def test_the_end_of_a_limit_is_read_from_its_words(text: str, end: str | None) -> None:
    assert limit_ends(text, NOW) == (datetime.fromisoformat(end) if end else None)


def test_times_of_day_are_the_machine_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    assert limit_ends("try again at 11:00 AM.", NOW) == datetime(2026, 11, 21, 16, tzinfo=UTC)
    assert limit_ends("try again at Jul 1st, 2027 8:00 AM", NOW) == datetime(2027, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("You’ve hit your usage limit. Try again later.", True),
        ("exceeded retry limit, last status: 429 Too Many Requests", True),
        ("unexpected status 529 <unknown status code>: overloaded, url: http://x", True),
        ("Selected model is at capacity. Please try a different model.", True),
        ("Quota exceeded. Check your plan and billing details.", True),
        ("Disk quota exceeded (os error 122)", False),
        ("unexpected status 503 Service Unavailable: overloaded", False),
        ("exceeded retry limit, last status: 500 Internal Server Error", False),
        ("We’re currently experiencing high demand, which may cause temporary errors.", False),
        ("To use Codex with your ChatGPT plan, upgrade to Plus", False),
    ],
)
def test_what_a_limit_is(text: str, limit: bool) -> None:
    assert is_limit(text) is limit
