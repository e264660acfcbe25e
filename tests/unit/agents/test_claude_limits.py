from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from maestro.agents.claude_limits import reset_time, speaks_of_limit

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Claude AI usage limit reached|1795000000", datetime.fromtimestamp(1795000000, UTC)),
        ("You've hit your session limit · resets 3pm (UTC)", datetime(2026, 11, 21, 15, tzinfo=UTC)),
        ("You've hit your session limit · resets 3pm (Europe/Berlin)", datetime(2026, 11, 21, 14, tzinfo=UTC)),
        ("limit will reset at 10:45 am (UTC)", datetime(2026, 11, 22, 10, 45, tzinfo=UTC)),
        ("5-hour limit reached ∙ resets 1:31pm (UTC)", datetime(2026, 11, 21, 13, 31, tzinfo=UTC)),
        ("5-hour limit reached ∙ resets 1:30pm (UTC)", NOW),  # just over, not tomorrow
        ("5-hour limit reached ∙ resets 1:21pm (UTC)", NOW - timedelta(minutes=9)),
        ("5-hour limit reached ∙ resets 1:19pm (UTC)", datetime(2026, 11, 22, 13, 19, tzinfo=UTC)),
        ("resets 12am (America/New_York)", datetime(2026, 11, 22, 5, tzinfo=UTC)),
        ("resets 12pm (UTC)", datetime(2026, 11, 22, 12, tzinfo=UTC)),
        ("resets at 17:05 (UTC)", datetime(2026, 11, 21, 17, 5, tzinfo=UTC)),
        ("weekly limit · resets Nov 25, 10am (UTC)", datetime(2026, 11, 25, 10, tzinfo=UTC)),
        ("resets Nov 25 at 10:30pm (UTC)", datetime(2026, 11, 25, 22, 30, tzinfo=UTC)),
        ("resets Jan 2, 9am (UTC)", datetime(2027, 1, 2, 9, tzinfo=UTC)),
        ("try again at 2026-12-01T10:00:00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("until 2026-12-01T10:00:00+02:00", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("Please retry after 120 seconds", NOW + timedelta(seconds=120)),
        ("retry-after: 90", NOW + timedelta(seconds=90)),
        ("try again in 5 minutes", NOW + timedelta(minutes=5)),
        ("try again in 2h", NOW + timedelta(hours=2)),
        ("resets Nov 3, 9am (UTC)", datetime(2026, 11, 3, 9, tzinfo=UTC)),
        ("try again in 2 days", NOW + timedelta(days=2)),
        ("retry after 1500 ms", NOW + timedelta(seconds=1.5)),
        ("API Error: Request rejected (429) · slow down", None),
        ("resets 3", None),
        ("resets 3pm (Nowhere/Land)", None),
        ("resets 3pm (../../etc/passwd)", None),
        ("resets 25:00 (UTC)", None),
        ("resets Feb 31, 3pm (UTC)", None),
        ("resets Foo 3, 3pm (UTC)", None),
        ("|9999999999999999", None),
        ("retry after 99999999999999999999 seconds", None),
        ("the user resets 3 passwords", None),
        ("", None),
    ],
)
def test_reset_times(text: str, expected: datetime | None) -> None:
    assert reset_time(text, NOW) == expected


def test_a_day_of_last_year_is_over() -> None:
    now = datetime(2027, 1, 2, 9, tzinfo=UTC)
    assert reset_time("resets Dec 31, 10am (UTC)", now) == datetime(2026, 12, 31, 10, tzinfo=UTC)


def test_without_a_zone_the_machine_s_own_counts() -> None:
    assert reset_time("resets 3pm", NOW) == datetime(2026, 11, 21, 15, tzinfo=UTC)  # the tests' zone is UTC


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("Claude AI usage limit reached|1795000000", True),
        ("You've hit your session limit · resets 3pm", True),
        ("Credit balance is too low", True),
        ("API Error: 400 something invalid", False),
        ("Reached maximum number of turns (3)", False),
    ],
)
def test_texts_about_limits(text: str, limit: bool) -> None:
    assert speaks_of_limit(text) is limit
