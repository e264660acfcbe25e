"""When a day begins, by the time zone of the process."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from maestro.clock import midnight_before


@pytest.mark.parametrize(
    ("name", "moment", "midnight"),
    [
        ("UTC0", "2026-03-29T12:00:00+00:00", "2026-03-29T00:00:00+00:00"),
        ("IST-5:30", "2026-03-28T19:00:00+00:00", "2026-03-28T18:30:00+00:00"),
        ("PST8", "2026-03-29T03:00:00+00:00", "2026-03-28T08:00:00+00:00"),
        # the night of a clock change: midnight was in winter time, noon is in summer time
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T10:00:00+00:00", "2026-03-28T23:00:00+00:00"),
    ],
)
def test_a_day_begins_at_local_midnight(zone: pytest.MonkeyPatch, name: str, moment: str, midnight: str) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    found = midnight_before(datetime.fromisoformat(moment))
    assert found.astimezone(UTC) == datetime.fromisoformat(midnight)
