"""What a journal leaves open, at whatever event it breaks off."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model import events as e
from maestro.model.folding import fold
from maestro.model.outcome import Cancelled, Clock3, Failed, FailureKind, LimitHit, Lost, Succeeded
from maestro.model.recovery import leftover
from maestro.model.report import Discovery
from maestro.model.states import RunStatus, TaskState
from maestro.model.task import Progress
from maestro.testing.story import DONE, RED, STORY, at, ended, started, starting


def spawned(task: str, attempt: int = 1) -> e.AttemptSpawned:
    return e.AttemptSpawned(at=at(3), task=task, attempt_id=f"r1/{task}/{attempt}", pid=42, pid_started=1.5)


def landing(*tasks: str) -> e.Landing:
    commits = tuple(task * 40 for task in tasks)
    return e.Landing(
        at=at(9), branch="integration/r1", expected="0" * 40, new_tip=commits[-1], tasks=tasks, commits=commits
    )


def landed(task: str) -> e.Landed:
    return e.Landed(at=at(9), task=task, commit=task * 40, branch="integration/r1")


def told(task: str, progress: Progress, error: str | None = None) -> e.TrackerWritten:
    return e.TrackerWritten(at=at(10), task=task, progress=progress, error=error)


@pytest.mark.parametrize("length", range(1, len(STORY) + 1))
def test_every_beginning_of_a_story_can_be_gone_on_with(length: int) -> None:
    """Whatever is open, each task is in exactly one place of what is open, or at rest."""
    past = leftover(STORY[:length])
    run = fold(STORY[:length])
    at_work = {task.id for task in run.tasks.values() if task.state in (TaskState.RUNNING, TaskState.SUBMITTED)}
    begun = [one.task for one in past.open_attempts]
    unanswered = [one.task for one in past.unanswered]
    assert sorted(begun + unanswered) == sorted(at_work)
    assert set(past.landed) == {task.id for task in run.tasks.values() if task.state is TaskState.LANDED}
    assert set(past.over) == {
        task.id for task in run.tasks.values() if task.state in (TaskState.FAILED, TaskState.BLOCKED)
    }


def test_an_attempt_is_open_with_what_is_known_of_its_process() -> None:
    stopping = e.AttemptStopping(
        at=at(4), task="a", attempt_id="r1/a/1", reason="silent for 5 s", clock=Clock3.SILENT, limit_seconds=5
    )
    (open_a, open_b) = leftover(
        [started(), starting("a", 1, 2), starting("b", 1, 2), spawned("a"), stopping]
    ).open_attempts
    assert (open_a.task, open_a.number, open_a.process, open_a.stopping) == ("a", 1, (42, 1.5), stopping)
    assert (open_b.task, open_b.process, open_b.stopping) == ("b", None, None)


def test_an_end_is_unanswered_until_what_follows_is_said_and_counts_only_then() -> None:
    events: list[Any] = [started(), starting("a", 1, 2), ended("a", 1, 5, RED, 3)]
    past = leftover(events)
    assert [one.task for one in past.unanswered] == ["a"]
    assert past.used == {}
    past = leftover([*events, e.TaskRequeued(at=at(5), task="a", reason="exit code 3", saved_ref="refs/x")])
    assert past.unanswered == ()
    assert (past.used["a"].attempts, past.used["a"].failures[0].saved_ref) == (1, "refs/x")


@pytest.mark.parametrize(
    ("outcome", "attempts", "failures"),
    [
        (RED, 1, 1),
        (Failed(failure=FailureKind.NO_COMMIT, reason="none"), 1, 1),
        (LimitHit(reason="usage limit"), 0, 0),
        (Lost(reason="killed"), 1, 1),
        (Lost(reason="reboot", unwatched=True), 0, 1),
        (Cancelled(), 0, 1),  # by the run, whose end is none any more
    ],
)
def test_what_counts_against_a_task(outcome: Any, attempts: int, failures: int) -> None:
    events = [
        started(),
        starting("a", 1, 2),
        ended("a", 1, 5, outcome, 3),
        e.TaskRequeued(at=at(5), task="a", reason="x"),
    ]
    used = leftover(events).used["a"]
    assert (used.attempts, len(used.failures)) == (attempts, failures)


def test_the_fourth_loss_of_a_task_counts() -> None:
    events: list[Any] = [started()]
    for number in range(1, 5):
        events += [
            starting("a", number, number),
            ended("a", number, number, Lost(reason="reboot", unwatched=True), 1),
            e.TaskRequeued(at=at(number), task="a", reason="reboot"),
        ]
    used = leftover(events).used["a"]
    assert (used.losses, used.attempts) == (3, 1)


def test_a_conflict_gives_the_attempt_back_and_a_red_test_does_not() -> None:
    conflict = next(event for event in STORY if isinstance(event, e.ConflictSeen)).model_copy(update={"task": "a"})
    base: list[Any] = [started(), starting("a", 1, 2), ended("a", 1, 5, DONE, 3)]
    again = e.TaskRequeued(at=at(6), task="a", reason="sent back")
    by_conflict = leftover([*base, conflict, again]).used["a"]
    by_gate = leftover([*base, again]).used["a"]
    assert (by_conflict.attempts, by_conflict.conflicts) == (0, 1)
    assert (by_gate.attempts, by_gate.conflicts) == (1, 0)


def test_a_landing_is_half_done_until_all_of_it_is_said() -> None:
    base: list[Any] = [started()]
    for task in ("a", "b"):
        base += [starting(task, 1, 2), ended(task, 1, 5, DONE, 3)]
    assert leftover([*base, landing("a", "b")]).half_landing == landing("a", "b")
    assert leftover([*base, landing("a", "b"), landed("a")]).half_landing == landing("a", "b")
    assert leftover([*base, landing("a", "b"), landed("a"), landed("b")]).half_landing is None


def test_a_landing_that_could_not_be_made_is_not_half_done() -> None:
    """The branch was checked out, or reset: what was to land has come back, and `rollback` need not wait for it."""
    base: list[Any] = [started()]
    for task in ("a", "b"):
        base += [starting(task, 1, 2), ended(task, 1, 5, DONE, 3)]
    refused = e.TaskBlocked(at=at(9), task="b", reason="the branch is checked out", told=True)
    again = e.TaskRequeued(at=at(9), task="a", reason="red")
    assert leftover([*base, landing("a", "b"), refused]).half_landing == landing("a", "b")
    assert leftover([*base, landing("a", "b"), refused, again]).half_landing is None
    assert leftover([*base, landing("a", "b"), refused, landed("a")]).half_landing is None


def test_the_tracker_is_owed_what_it_was_not_told() -> None:
    base: list[Any] = [started()]
    for task in ("a", "b", "c"):
        base += [starting(task, 1, 2), ended(task, 1, 5, DONE if task == "a" else RED, 3)]
    base += [
        landing("a"),
        landed("a"),
        e.TaskFailed(at=at(9), task="b", reason="exit code 3", saved_ref="refs/b"),
        e.TaskBlocked(at=at(9), task="c", reason="somebody took it"),
    ]
    owed = {debt.task: (debt.progress, debt.commit, debt.saved_ref) for debt in leftover(base).debts}
    assert owed == {"a": (Progress.DONE, "a" * 40, None), "b": (Progress.OPEN, None, "refs/b")}
    assert [debt.task for debt in leftover([*base, told("a", Progress.DONE)]).debts] == ["b"]
    assert leftover([*base, told("a", Progress.DONE), told("b", Progress.OPEN, "it refused")]).debts == ()


def test_discovered_work_of_a_landed_task_is_owed_until_it_was_added() -> None:
    found = DONE.model_copy(update={"discovered": (Discovery(title="more"),)})
    events = [started(), starting("a", 1, 2), ended("a", 1, 5, found, 3), landing("a"), landed("a")]
    assert leftover(events).undiscovered == ("a",)
    assert leftover([*events, e.TrackerAdded(at=at(11), task="a", ids=("m",))]).undiscovered == ()


def test_a_resumed_run_begins_its_reopened_tasks_anew_and_knows_what_failed() -> None:
    events = [
        started(),
        starting("a", 1, 2),
        ended("a", 1, 5, Cancelled(reason="^C"), 3),
        e.TaskCancelled(at=at(5), task="a", reason="^C", saved_ref="refs/a"),
        e.RunEnded(at=at(6), status=RunStatus.INTERRUPTED),
        e.RunResumed(at=at(99), maestro_version="0", reopened=("a",)),
    ]
    past, run = leftover(events), fold(events)
    assert (run.status, run.tasks["a"].state, run.ended_at) == (RunStatus.RUNNING, TaskState.PENDING, None)
    assert (past.used["a"].attempts, past.used["a"].failures[0].reason) == (0, "^C")
    assert (past.debts, past.over, past.open_attempts) == ((), (), ())


def test_a_rollback_that_was_broken_off_is_seen() -> None:
    events = [started(), starting("a", 1, 2), ended("a", 1, 5, DONE, 3), landing("a"), landed("a")]
    back = e.RollingBack(
        at=at(20), checkpoint="start", branch="integration/r1", expected="a" * 40, commit="0" * 40, tasks=("a",)
    )
    assert leftover([*events, back]).half_rollback == back
    past = leftover([*events, back, e.RolledBack(at=at(21), checkpoint="start")])
    assert (past.half_rollback, past.landed, past.half_landing) == (None, (), None)


def test_a_good_end_whose_task_was_given_up_counts_as_sent_back() -> None:
    events = [
        started(),
        starting("a", 1, 2),
        ended("a", 1, 5, Succeeded(commit="a" * 40), 3),
        e.TaskFailed(at=at(9), task="a", reason="the tests are red"),
    ]
    assert leftover(events).used["a"].failures[0].reason == "the tests are red"
