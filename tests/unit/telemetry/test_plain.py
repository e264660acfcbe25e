"""One plain line per event."""

from __future__ import annotations

import io

import pytest

from maestro.model.events import CheckoutChanged, DispatchStopped, GateStarted, TrackerWritten, Warned
from maestro.model.gate import GatePassed, GateResult, GateSkipped, GateUnjudged, NotJudged, TestTotals
from maestro.telemetry.plain import PlainObserver, gate_words, line_of
from maestro.testing.story import STORY, at

EXPECTED = """\
12:00:00 run r1: 3 tasks, schedule stages, at most 2 at once (as you said), from main 0000000000 onto integration/r1
12:00:01 group X: pre_execution, in_progress
12:00:02 group X: concurrent_execution, in_progress
12:00:02 task a: attempt 1 started (claude)
12:00:02 task b: attempt 1 started (claude)
12:00:03 task a: permission to [2Jwrite denied
12:00:12 task a: attempt 1 ended after 10.0 s: work was submitted
12:00:14 task b: attempt 1 ended after 12.0 s: exit code 3
12:00:14 task b: tried again in 2 s: exit code 3
12:00:14 testing a: pytest
12:00:16 tested a: green after 2.0 s
12:00:16 task a: landed as ffffffffff on integration/r1
12:00:17 task b: attempt 2 started (claude)
12:00:20 task b: attempt 2 ended after 3.0 s: work was submitted
12:00:20 task b: conflict in m.py
12:00:20 testing b: pytest
12:00:21 tested b: red after 1.0 s: t1, t2, t3 and 1 more
12:00:21 task b: failed: conflict in m.py (its work is saved under refs/maestro/saved/r1/b)
12:00:21 task c: blocked: b failed
12:00:21 group X: post_execution, in_progress
12:00:22 group X: post_execution, failed
12:00:22 group Y: post_execution, blocked
12:00:24 run ended: failed
"""


def test_a_whole_run() -> None:
    stream = io.StringIO()
    observer = PlainObserver(stream)
    for event in STORY:
        observer.notify(event)
    observer.close()
    assert stream.getvalue() == EXPECTED
    assert not stream.closed


def test_events_that_are_rare_but_matter() -> None:
    stream = io.StringIO()
    observer = PlainObserver(stream)
    observer.notify(Warned(at=at(0), message="the checkout is dirty"))
    observer.notify(CheckoutChanged(at=at(1), changes=("x.py is new",), task="a"))
    observer.notify(DispatchStopped(at=at(2), reason="an agent wrote into your checkout"))
    observer.notify(TrackerWritten(at=at(3), task="a", progress="done"))
    observer.notify(TrackerWritten(at=at(3), task="a", progress="done", error="locked"))
    assert stream.getvalue() == (
        "12:00:00 warning: the checkout is dirty\n"
        "12:00:01 your checkout changed, by task a: x.py is new\n"
        "12:00:02 nothing new is started: an agent wrote into your checkout\n"
        "12:00:03 task a: the tracker could not be told: locked\n"
    )


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (GatePassed(seconds=1.25, totals=TestTotals(passed=7)), "green after 1.2 s, 7 passed"),
        (GateUnjudged(why=NotJudged.TIMEOUT, reason="no end within 5 s"), "not judged: no end within 5 s"),
        (GateSkipped(), "no tests, as you said"),
    ],
)
def test_words_of_gates(result: GateResult, words: str) -> None:
    assert gate_words(result) == words


def test_the_branch_itself_is_tested_too() -> None:
    assert line_of(GateStarted(at=at(1), commit="f" * 40, tasks=(), command="make test")) == (
        "testing the branch as it stands: make test"
    )
