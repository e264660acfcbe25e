"""Estimates in words and numbers."""

from __future__ import annotations

import pytest

from maestro.trackers.duration import minutes_of


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("30m", 30),
        ("45 minutes", 45),
        ("2h", 120),
        ("2 hours", 120),
        ("1.5 hrs", 90),
        ("1h 30m", 90),
        ("1d", 480),
        ("3 days", 1440),
        ("1 week", 2400),
        ("2-3 hours", 150),
        ("1 to 2 Days", 720),
        ("~2 days (with buffer)", 960),
    ],
)
def test_durations(value: object, minutes: float) -> None:
    assert minutes_of(value) == minutes


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "0", 0, -1, True, None, [1], float("nan"), float("inf"), "3 moons"]
)
def test_no_durations(value: object) -> None:
    assert minutes_of(value) is None


def test_a_bare_number_may_count_hours() -> None:
    assert minutes_of(2, number_is="h") == 120
    assert minutes_of("2", number_is="h") == 120
    assert minutes_of("2 days", number_is="h") == 960
