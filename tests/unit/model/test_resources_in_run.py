"""Who waits for which resource, and what agents found when they ran tests: from events to what is shown (I-7, M-6)."""

from __future__ import annotations

from maestro.model.events import (
    AttemptTested,
    DispatchStopped,
    Event,
    GateEnded,
    ResourceQueued,
    ResourceTaken,
    RunResumed,
    TaskBlocked,
)
from maestro.model.folding import fold
from maestro.model.gate import GatePassed, TestTotals
from maestro.model.result import result_object
from maestro.model.run import GATE, Run
from maestro.model.view import view_of
from maestro.telemetry.live import render
from maestro.telemetry.metrics import Metrics
from maestro.telemetry.plain import line_of
from maestro.testing.story import at, started, starting

HELD = ("process 71 of task b since 12:04:05Z",)


def queued(task: str | None, resource: str = "docker", ahead: int = 0) -> ResourceQueued:
    return ResourceQueued(at=at(1), resource=resource, task=task, holders=HELD, ahead=ahead)


def taken(task: str | None, resource: str = "docker", waited: float = 0.0) -> ResourceTaken:
    return ResourceTaken(at=at(3), resource=resource, task=task, fencing=7, waited_seconds=waited)


def suite(number: int, **changes: object) -> AttemptTested:
    values = {"at": at(9), "task": "a", "attempt_id": "r1/a/1", "number": number, "exit_code": 0, "seconds": 2.0}
    return AttemptTested.model_validate({**values, **changes})


def run_of(*events: Event) -> Run:
    return fold([started(), *events])


def test_who_waits_is_shown_until_it_has_it() -> None:
    waiting = run_of(queued("a", ahead=2), queued(None, "tests"))
    view = view_of(waiting, at(2))
    words = "waits for docker, held by process 71 of task b since 12:04:05Z; 2 wait before it"
    assert [task.waits for task in view.tasks] == [words, None, None]
    assert view.gate_waits == "waits for tests, held by process 71 of task b since 12:04:05Z"
    over = run_of(queued("a"), queued(None, "tests"), taken("a"), taken(None, "tests"))
    assert over.queued == {}


def test_nobody_waits_any_more_where_nothing_is_started() -> None:
    gate = queued(None, "tests")
    assert run_of(queued("a"), gate, DispatchStopped(at=at(2), reason="x")).queued == {GATE: gate}
    assert run_of(queued("a"), TaskBlocked(at=at(2), task="a", reason="x")).queued == {}
    ended = GateEnded(at=at(3), commit="c", tasks=("a",), result=GatePassed(seconds=1.0))
    assert run_of(gate, ended).queued == {}
    assert run_of(queued("a"), gate, RunResumed(at=at(2), maestro_version="1")).queued == {}


def test_it_is_told_in_words() -> None:
    assert line_of(queued("a", ahead=1)) == (
        "task a waits for docker, held by process 71 of task b since 12:04:05Z; one waits before it"
    )
    assert line_of(queued(None, "tests")) == "the gate waits for tests, held by process 71 of task b since 12:04:05Z"
    assert line_of(taken("a", waited=2.04)) == "task a: has docker after 2.0 s"
    assert line_of(taken("a")) is None, "it was free"


def test_the_live_table_has_it() -> None:
    from io import StringIO

    from rich.console import Console

    stream = StringIO()
    Console(file=stream, width=120).print(render(view_of(run_of(queued("a"), queued(None, "tests")), at(2)), 40, 120))
    assert "waits for docker, held by" in stream.getvalue()
    assert "the gate waits for tests, held by" in stream.getvalue()


def test_what_agents_tested_is_part_of_the_result() -> None:
    first = suite(1, exit_code=1, totals=TestTotals(passed=3, failed=1), failing=("t::x",), waited_seconds=1.5)
    run = run_of(starting("a", 1, 1), first, suite(2, totals=TestTotals(passed=4, skipped=1)))
    tasks = result_object(run, {})["tasks"]
    assert tasks["a"]["tests"] == {
        "runs": 2, "exit_code": 0, "passed": 4, "failed": 0, "skipped": 1, "failing": [], "seconds": 4.0,
        "waited_seconds": 1.5,
    }  # fmt: skip
    assert "tests" not in tasks["b"]


def test_waits_are_counted_for_each_resource() -> None:
    metrics = Metrics()
    for event in (
        started(),
        taken("a", waited=2.0),
        taken("b"),
        taken(None, "tests", 3.0),
        suite(1, waited_seconds=1),
    ):
        metrics.notify(event)
    assert metrics.values()["resource_waits"] == {
        "docker": {"taken": 2, "seconds": 2.0, "longest_seconds": 2.0},
        "tests": {"taken": 2, "seconds": 4.0, "longest_seconds": 3.0},
    }
    metrics.notify(suite(2, totals=TestTotals(passed=3, failed=1)))
    metrics.notify(suite(3, totals=TestTotals(passed=4)))
    assert metrics.values()["agent_tests"] == {"runs": 3, "passed": 4, "failed": 0, "skipped": 0}, (
        "the last of each task"
    )
