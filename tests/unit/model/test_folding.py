"""A journal is folded as if event by event, by who leaves alone what it is given, and in time for many tasks."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from maestro.model import events as e
from maestro.model.folding import apply, begin, fold
from maestro.model.outcome import Failed, FailureKind, Succeeded, Usage
from maestro.model.run import Run
from maestro.model.states import IllegalMove, TaskState

AT = datetime(2026, 1, 1, tzinfo=UTC)


def start(*tasks: str) -> e.RunStarted:
    return e.RunStarted(
        at=AT, run_id="r", maestro_version="1", repository="/r", base="b0", base_branch="main",
        integration_branch="integration/r", tracker="t", schedule="graph", max_parallel=4, max_parallel_reason="",
        tasks=tasks, groups={"A": tasks[:2]},
    )  # fmt: skip


def landed(task: str) -> list[e.Event]:
    """All that is written of a task that fails once, and lands."""
    return [
        e.TrackerClaiming(at=AT, tasks=(task,)),
        *attempt(task, 1, Failed(failure=FailureKind.EXIT, reason="no", usage=Usage(cost_usd=1.0))),
        e.TaskRequeued(at=AT, task=task, reason="again"),
        *attempt(task, 2, Succeeded(commit="c", usage=Usage(cost_usd=0.5))),
        e.Warned(at=AT, message=f"look at {task}"),
        e.Landing(at=AT, branch="integration/r", expected="x", new_tip="y", tasks=(task,), commits=("c",)),
        e.Landed(at=AT, task=task, commit="c", branch="integration/r"),
        e.TrackerWritten(at=AT, task=task, progress="done"),
    ]


def attempt(task: str, number: int, outcome: Failed | Succeeded) -> list[e.Event]:
    marker = f"t/r/{task}/{number}"
    return [
        e.AttemptStarting(
            at=AT, task=task, attempt=number, attempt_id=marker, agent="command", base="b0", workspace="/w", branch="x"
        ),
        e.AttemptSpawned(at=AT, task=task, attempt_id=marker, pid=7, pid_started=1.0),
        e.AttemptEnded(at=AT, task=task, attempt=number, attempt_id=marker, outcome=outcome, seconds=1.0),
    ]


JOURNAL: list[e.Event] = [
    start("a", "b", "c"),
    e.GroupMoved(at=AT, group="A", phase="concurrent_execution", status="in_progress", errors=("one",)),  # type: ignore[arg-type]
    *landed("a"),
    e.CheckoutChanged(at=AT, changes=("x was written",)),
    e.Checkpoint(at=AT, name="group-A", branch="integration/r", commit="c", group="A"),
    *landed("b"),
    e.Throttled(at=AT, reason="load"),
    e.AccountHeld(at=AT, account="acc", until=AT, reason="limit"),
    e.DispatchStopped(at=AT, reason="spent"),
    e.RunEnded(at=AT, status="blocked", reason="spent"),  # type: ignore[arg-type]
    e.RollingBack(
        at=AT, checkpoint="group-A", branch="integration/r", expected="d", commit="c", tasks=("b",), removed={}
    ),
    e.RunResumed(at=AT, maestro_version="1"),
    *landed("b"),
]


def test_a_fold_is_one_event_after_the_other_and_touches_nothing_it_is_given() -> None:
    first = JOURNAL[0]
    assert isinstance(first, e.RunStarted)
    run = begin(first)
    for number, event in enumerate(JOURNAL[1:], start=2):
        before = run.model_dump_json()
        after = apply(run, event)
        assert run.model_dump_json() == before, event
        run = after
        assert fold(JOURNAL[:number]) == run
        assert list(run.tasks) == ["a", "b", "c"]
    assert run.tasks["b"].history.count(TaskState.LANDED) == 2
    assert run.warnings == ("look at a", "your checkout changed: x was written", "look at b", "look at b")
    assert run.spent.cost_usd == 4.5


def test_what_changes_no_view_changes_no_run() -> None:
    run = begin(start("a"))
    assert apply(run, e.AttemptNoted(at=AT, task="a", attempt_id="x", note="n")) is run


def test_an_illegal_move_leaves_the_run_as_it_was() -> None:
    run = begin(start("a"))
    with pytest.raises(IllegalMove):
        apply(run, e.Landed(at=AT, task="a", commit="c", branch="b"))
    assert run == begin(start("a"))


def folded_in(count: int) -> tuple[Run, float]:
    names = [f"t{number}" for number in range(count)]
    journal: list[e.Event] = [start(*names), *(event for name in names for event in landed(name))]
    began = time.process_time()
    run = fold(journal)
    return run, time.process_time() - began


def test_thousands_of_tasks_are_folded_in_seconds() -> None:
    run, seconds = folded_in(5000)
    assert {task.state for task in run.tasks.values()} == {TaskState.LANDED}
    assert seconds < 5, "60,000 events take half a second, or three where each copies all tasks"
