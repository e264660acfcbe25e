"""The live table: a pure picture of a view, drawn on a real terminal and taken away from it cleanly."""

from __future__ import annotations

import io
import os
import pty
import threading
from collections.abc import Sequence

import pytest
from rich.console import Console

from maestro.clock import SystemClock
from maestro.model.budget import Kind
from maestro.model.events import BudgetsSet, Event
from maestro.model.folding import apply, begin
from maestro.model.view import RunView, view_of
from maestro.telemetry.live import LiveObserver, duration, render
from maestro.telemetry.observer import FanOut
from maestro.testing.story import STORY, at, started, starting


def view_after(count: int, second: float) -> RunView:
    run = begin(STORY[0])  # type: ignore[arg-type]
    for event in STORY[1:count]:
        run = apply(run, event)
    return view_of(run, at(second))


def drawn(view: RunView, height: int = 40, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(render(view, height, width))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def test_while_two_run() -> None:
    text = drawn(view_after(6, 7))
    lines = text.splitlines()
    assert lines[0] == "1 pending  2 running  7s  run r1  → integration/r1"
    assert lines[2].split() == ["task", "state", "try", "time"]
    assert lines[3].split() == ["a", "running", "1/2", "5s", "First"]
    assert lines[4].split() == ["b", "running", "1/2", "5s", "Second"]
    assert lines[5].split() == ["c", "pending"]


def test_at_the_end() -> None:
    text = drawn(view_after(len(STORY), 500))
    assert "1 landed  1 failed  1 blocked  24s  1.00 USD  run r1  → integration/r1" in text
    assert "b     failed   2/2  15s   conflict in m.py" in text


def test_what_is_left_of_budgets_is_seen() -> None:
    run = begin(started())
    limits = {Kind.RUN_USD: 1.0, Kind.RUN_SECONDS: 600.0, Kind.DAY_USD: 5.0}
    run = apply(run, BudgetsSet(at=at(5), limits=limits, seconds_before=100.0))
    heading = drawn(view_of(run, at(25))).splitlines()[0]
    assert heading.startswith("3 pending  25s  0.00 of 1.00 USD  120 of 600 s  run r1")


def test_many_tasks_fit_on_a_small_screen_and_the_running_ones_are_seen() -> None:
    names = tuple(f"t{number}" for number in range(200))
    run = begin(started(tasks=names, groups={}, dependencies={}, titles={}, levels=()))
    run = apply(run, starting("t150", 1, 1))
    text = drawn(view_of(run, at(2)), height=20)
    assert len(text.splitlines()) <= 20
    assert "t150" in text
    assert "… and 187 more tasks" in text


def test_a_narrow_screen_shows_names_and_states_and_no_line_wraps() -> None:
    names = tuple(f"task-{number:03}" for number in range(200))
    run = begin(started(tasks=names, groups={}, dependencies={}, titles=dict.fromkeys(names, "x" * 90), levels=()))
    run = apply(run, starting("task-150", 1, 1))
    run = run.evolve(warnings=("w" * 200,), stopped="s" * 200)
    lines = drawn(view_of(run, at(2)), height=10, width=40).splitlines()
    assert lines[0].startswith("199 pending  1 running  2s  run r1")
    assert ["task-150", "running", "1/2", "1s"] in [line.split() for line in lines]
    assert "task-000  pending" in lines
    assert len(lines) <= 9


@pytest.mark.parametrize("width", [40, 50, 60, 70, 100, 200])
def test_every_task_has_its_state_attempt_and_time_on_any_screen(width: int) -> None:
    names = ("esc\x1b[31m", "日本語タスク" * 10, "L" * 200, "d")
    run = begin(started(tasks=names, groups={}, dependencies={}, titles=dict.fromkeys(names, "x" * 90), levels=()))
    for second, name in enumerate(names, start=1):
        run = apply(run, starting(name, 1, second))
    lines = drawn(view_of(run, at(9)), width=width).splitlines()
    assert [" ".join(line[line.index("running") :].split()[:3]) for line in lines[3:]] == [
        "running 1/2 8s",
        "running 1/2 7s",
        "running 1/2 6s",
        "running 1/2 5s",
    ]
    assert all(("xxx" in line) is (width >= 50) for line in lines[3:])


def test_what_agents_say_is_no_markup_and_moves_no_cursor() -> None:
    run = begin(started(tasks=("[red]a",), groups={}, dependencies={}, titles={"[red]a": "\x1b[2J[bold]x"}, levels=()))
    text = drawn(view_of(run, at(1)))
    assert "[red]a" in text
    assert "[2J[bold]x" in text
    assert "\x1b" not in text


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.9, 59, 61, 3661)] == ["0s", "59s", "1m 01s", "1h 01m"]


def on_a_terminal(events: Sequence[Event]) -> str:
    """What a terminal is sent while these events are told; the observer is closed unless it failed."""
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                seen.append(os.read(ours, 65536))
            except OSError:  # EIO: the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w") as stream:
        fan_out = FanOut([LiveObserver(stream, SystemClock())])
        for event in events:
            fan_out.notify(event)
        fan_out.close()
    reader.join()
    os.close(ours)
    return b"".join(seen).decode()


def test_the_terminal_gets_its_cursor_back_and_keeps_the_last_picture() -> None:
    text = on_a_terminal(STORY)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("conflict in m.py")
    assert all(thread.name != "live view" for thread in threading.enumerate())


def test_the_terminal_gets_its_cursor_back_from_an_observer_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    text = on_a_terminal([*STORY[:4], STORY[3], *STORY[4:]])  # an attempt that starts twice is no legal move
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "LiveObserver failed and is left out" in caplog.text
    assert all(thread.name != "live view" for thread in threading.enumerate())


def test_closed_before_anything_happened() -> None:
    stream = io.StringIO()
    LiveObserver(stream, SystemClock()).close()
    assert stream.getvalue() == ""


def test_drawings_that_take_long_are_few() -> None:
    """Each of them takes two seconds by this clock; twenty times as long nothing is drawn, however much happens."""
    rests: list[float] = []
    drawn = threading.Event()

    class SlowClock(SystemClock):
        now_seconds = 0.0

        def monotonic(self) -> float:
            self.now_seconds += 2.0
            return self.now_seconds

    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            rests.append(timeout or 0.0)
            self.set()
            drawn.set()
            return True

    observer = LiveObserver(io.StringIO(), SlowClock())
    observer._closing = Closing()
    observer.notify(STORY[0])
    assert drawn.wait(30)
    observer.close()
    assert rests == [pytest.approx(40.0)]
