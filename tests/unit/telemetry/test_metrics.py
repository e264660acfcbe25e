"""The metrics of a result, told from the events."""

from __future__ import annotations

from maestro.model.events import AccountHeld, AccountReleased
from maestro.model.outcome import LimitHit
from maestro.telemetry.metrics import Metrics
from maestro.testing.story import DONE, STORY, at, ended, started


def test_a_whole_run() -> None:
    metrics = Metrics()
    for event in STORY:
        metrics.notify(event)
    assert metrics.values() == {
        "wall_seconds": 24.0,
        "level_seconds": [19.0],  # from the first attempt to the end of b; level 2 never began
        "attempt_seconds": 25.0,
        "actual_speedup": 1.04,
        "theoretical_speedup": 1.5,
        "attempts": 3,
        "requeued": 1,
        "conflicts": 1,
        "landed": 1,
        "gates": 2,
        "gate_seconds": 3.0,
        "cost_usd": 1.0,
        "tokens": 240,
        "peak_memory_bytes": None,
        "throttled_seconds": 0.0,
        "limits": 0,
        "held_seconds": 0.0,
        "resource_waits": {},
        "agent_tests": {"runs": 0, "passed": 0, "failed": 0, "skipped": 0},
    }


def test_before_the_first_event_and_without_a_price() -> None:
    metrics = Metrics()
    assert metrics.values()["wall_seconds"] == 0
    assert metrics.values()["actual_speedup"] is None
    metrics.notify(started(levels=()))
    assert metrics.values()["cost_usd"] is None
    assert metrics.values()["tokens"] is None
    assert metrics.values()["theoretical_speedup"] is None


def test_prices_are_added_up() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.notify(ended("a", 1, 5, DONE, 1))
    assert metrics.values()["cost_usd"] == 0.75


def test_rests_of_accounts_are_added_up_and_what_met_a_limit_is_counted() -> None:
    metrics = Metrics()
    metrics.notify(ended("a", 1, 5, LimitHit(reason="x"), 1))
    metrics.notify(ended("b", 1, 5, LimitHit(reason="x"), 1))
    for second, account in ((5, "one"), (7, "one"), (6, "two")):
        metrics.notify(AccountHeld(at=at(second), account=account, until=at(20), reason="x"))
    metrics.notify(AccountReleased(at=at(25), account="one"))
    assert metrics.values()["held_seconds"] == 39.0, "the other one still rests"
    metrics.notify(AccountReleased(at=at(26), account="two"))
    metrics.notify(ended("b", 2, 60, DONE, 1))
    assert metrics.values()["held_seconds"] == 40.0
    assert metrics.values()["limits"] == 2
