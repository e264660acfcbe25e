"""That an account rests: how runs that go on say so (A-5)."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from maestro.model.events import AccountHeld, AccountReleased, Event, RunEnded
from maestro.model.folding import apply, begin
from maestro.model.run import Run
from maestro.model.states import RunStatus
from maestro.model.view import view_of
from maestro.telemetry.live import render
from maestro.telemetry.plain import line_of
from maestro.testing.story import at, started, starting

TOMORROW = at(0) + timedelta(days=1, hours=-9)  # 03:00
SAID = f"anthropic rests until {TOMORROW:%Y-%m-%d} 03:00 UTC: usage limit"


def held(second: float, until: datetime = TOMORROW) -> AccountHeld:
    return AccountHeld(at=at(second), account="anthropic", until=until, reason="usage limit", waiting=7)


def folded(*events: Event) -> Run:
    run = begin(started())
    for event in events:
        run = apply(run, event)
    return run


def drawn(run: Run, second: float = 60) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(render(view_of(run, at(second)), 24, 100))
    return text.getvalue()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (held(1), f"{SAID}; 7 tasks wait"),
        (held(1, at(90)).evolve(waiting=1), "anthropic rests until 12:01:30 UTC: usage limit; 1 task waits"),
        (held(1, at(120)).evolve(waiting=0), "anthropic rests until 12:02 UTC: usage limit"),
        (
            AccountReleased(at=at(2), account="anthropic"),
            "anthropic works again; what waited starts one after the other",
        ),
    ],
)
def test_lines(event: Event, said: str) -> None:
    assert line_of(event) == said


def test_who_rests_is_drawn_with_how_many_wait_until_it_is_over() -> None:
    begun = starting("a", 1, 1)
    assert f"{SAID}; 1 task waits" in drawn(folded(begun, held(2)))  # c depends on b, b waits
    assert "rests" not in drawn(folded(begun, held(2), AccountReleased(at=at(3), account="anthropic")))
    assert "rests" not in drawn(folded(begun, held(2, at(30))))
    ended = RunEnded(at=at(3), status=RunStatus.INTERRUPTED)
    assert "rests" not in drawn(folded(begun, held(2), ended))


def test_the_picture_does_not_grow_beyond_the_screen() -> None:
    accounts = [held(2).evolve(account=f"account-{number}") for number in range(4)]
    text = io.StringIO()
    Console(file=text, width=80).print(render(view_of(folded(*accounts), at(3)), 14, 80))
    assert len(text.getvalue().splitlines()) <= 14


def test_status_says_it_of_runs_that_live(
    cli: Any, write_run: Callable[..., Path], alive: Callable[[str], None]
) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    write_run("r1", [started(), held(2, until)])
    assert "rests" not in cli("status").out
    alive("r1")
    assert "anthropic rests until" in cli("status").out
    assert "Account anthropic rests until" in cli("status", "--run-id", "r1").out
    (hold,) = cli("status", "--run-id", "r1", "--json").json()["holds"]
    assert (hold["account"], hold["reason"], hold["waiting"]) == ("anthropic", "usage limit", 2)
