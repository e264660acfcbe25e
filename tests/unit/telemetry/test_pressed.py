"""That the machine bears no more, and that an agent seems dead: how runs that go on say so."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from maestro.model.events import AttemptSuspected, DispatchStopped, Event, Throttled
from maestro.model.folding import apply, begin
from maestro.model.run import Run
from maestro.model.states import TaskState
from maestro.model.view import view_of
from maestro.telemetry.live import render
from maestro.telemetry.metrics import Metrics
from maestro.telemetry.plain import line_of
from maestro.testing.story import DONE, at, ended, started, starting

LOAD = "the load is 9.0 per core, the limit is 8"
QUIET = "no output and no processor time for 2 min"


def throttled(second: float, reason: str | None = LOAD) -> Throttled:
    return Throttled(at=at(second), reason=reason)


def suspected(second: float, reason: str | None = QUIET) -> AttemptSuspected:
    return AttemptSuspected(at=at(second), task="a", attempt_id="r1/a/1", reason=reason)


def folded(*events: Event) -> Run:
    run = begin(started())
    for event in events:
        run = apply(run, event)
    return run


def drawn(run: Run) -> str:
    text = io.StringIO()
    Console(file=text, width=100).print(render(view_of(run, at(60)), 24, 100))
    return text.getvalue()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (throttled(1), f"no more is started for now: {LOAD}"),
        (throttled(1, None), "more is started again"),
        (suspected(1), f"task a: suspected: {QUIET}"),
        (suspected(1, None), "task a: shows signs of life again"),
    ],
)
def test_lines(event: Event, said: str) -> None:
    assert line_of(event) == said


def test_what_the_machine_lacks_is_shown_until_it_has_it() -> None:
    begun = starting("a", 1, 1)
    assert f"no more is started for now: {LOAD}" in drawn(folded(begun, throttled(2)))
    assert "for now" not in drawn(folded(begun, throttled(2), throttled(3, None)))
    stopped = drawn(folded(begun, throttled(2), DispatchStopped(at=at(3), reason="^C")))
    assert "for now" not in stopped
    assert "nothing new is started: ^C" in stopped


def test_who_seems_dead_is_shown_until_it_lives_or_ends() -> None:
    begun = starting("a", 1, 1)
    assert f"suspected: {QUIET}" in drawn(folded(begun, suspected(2)))
    for after in (suspected(3, None), ended("a", 1, 3, DONE, 2)):
        run = folded(begun, suspected(2), after)
        assert "suspected" not in drawn(run)
        assert [task.suspected for task in view_of(run, at(4)).tasks] == [None, None, None]


def test_a_new_attempt_is_not_suspected_for_the_last_one() -> None:
    from maestro.model.events import TaskRequeued
    from maestro.testing.story import RED

    again = TaskRequeued(at=at(4), task="a", reason="exit code 3")
    run = folded(starting("a", 1, 1), suspected(2), ended("a", 1, 3, RED, 2), again, starting("a", 2, 5))
    assert run.tasks["a"].state is TaskState.RUNNING
    assert view_of(run, at(6)).tasks[0].suspected is None


def test_time_that_tasks_waited_for_the_machine_is_counted() -> None:
    metrics = Metrics()
    for event in (
        throttled(1),
        throttled(3, "only 3 MiB of memory are free"),
        throttled(6, None),
        throttled(10),
        DispatchStopped(at=at(12), reason="^C"),
        DispatchStopped(at=at(20), reason="^C"),
    ):
        metrics.notify(event)
    assert metrics.values()["throttled_seconds"] == 7.0


def test_the_hungriest_attempt_is_kept() -> None:
    metrics = Metrics()
    for number, peak in enumerate((300, None, 900, 20), 1):
        metrics.notify(ended("a", number, 5, DONE, 1).evolve(peak_memory_bytes=peak))
    assert metrics.values()["peak_memory_bytes"] == 900
    assert (
        folded(starting("a", 1, 1), ended("a", 1, 3, DONE, 2).evolve(peak_memory_bytes=5))
        .tasks["a"]
        .attempts[-1]
        .peak_memory_bytes
        == 5
    )
