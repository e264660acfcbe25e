"""What checkpoints, rollbacks and failed landings leave in the fold of a run (E-9)."""

from __future__ import annotations

import pytest

from maestro.model import events as e
from maestro.model.events import Event
from maestro.model.folding import fold
from maestro.model.run import Run
from maestro.model.states import GroupPhase, GroupStatus, RunStatus, TaskState
from maestro.testing.story import DONE, STORY, at, ended, started, starting

TIP = "f" * 40


def checkpoint(name: str, second: float, commit: str = "0" * 40) -> e.Checkpoint:
    return e.Checkpoint(at=at(second), name=name, branch="integration/r1", commit=commit)


def back_to(name: str, *tasks: str) -> e.RollingBack:
    return e.RollingBack(
        at=at(60), checkpoint=name, branch="integration/r1", expected=TIP, commit="0" * 40, tasks=tasks
    )


def submitted(*more: Event) -> Run:
    return fold([started(), starting("a", 1, 1), ended("a", 1, 2, DONE, 1), *more])


def test_the_run_stands_where_the_checkpoint_was() -> None:
    before = [STORY[0], checkpoint("start", 0), checkpoint("group-X", 1), *STORY[1:], checkpoint("group-Y", 22, TIP)]
    assert fold(before).tip == TIP
    run = fold([*before, back_to("group-X", "a")])
    assert run.tip == "0" * 40
    assert list(run.checkpoints) == ["start", "group-X"]
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "rolled back to group-X")
    task = run.tasks["a"]
    assert (task.state, task.commit, len(task.attempts)) == (TaskState.PENDING, None, 1)
    assert run.tasks["b"].state is TaskState.FAILED, "what never landed stays as it ended"
    group = run.groups["X"]
    assert (group.phase, group.status, group.errors) == (GroupPhase.PRE_EXECUTION, GroupStatus.PENDING, ())
    assert run.groups["Y"].status is GroupStatus.BLOCKED


def test_a_name_used_again_means_the_newer_place() -> None:
    run = fold(
        [started(), checkpoint("start", 0), checkpoint("group-X", 1), back_to("start"), checkpoint("group-X", 70, TIP)]
    )
    assert run.checkpoints["group-X"].commit == TIP


def test_a_checkpoint_made_again_stands_where_it_was_made_again() -> None:
    """Else one behind it would be kept when the run goes back to an earlier one, and lead forward again."""
    before = [started(), checkpoint("start", 0), checkpoint("group-X", 1), checkpoint("group-Y", 2)]
    run = fold([*before, checkpoint("group-X", 70, TIP)])
    assert list(run.checkpoints) == ["start", "group-Y", "group-X"]
    run = fold([*before, checkpoint("group-X", 70, TIP), back_to("group-Y")])
    assert list(run.checkpoints) == ["start", "group-Y"]


NO_LANDING = [
    pytest.param(e.TaskCancelled(at=at(3), task="a", reason="^C"), id="stopped"),
    pytest.param(e.TaskBlocked(at=at(3), task="a", reason="bob has it"), id="taken by somebody else"),
]
SENT_BACK = [
    pytest.param(e.TaskRequeued(at=at(3), task="a", reason="conflict"), id="tried again"),
    pytest.param(e.TaskFailed(at=at(3), task="a", reason="red"), id="given up"),
    pytest.param(e.TaskBlocked(at=at(3), task="a", reason="the branch is red", told=True), id="not to be judged"),
]


@pytest.mark.parametrize("event", SENT_BACK)
def test_work_that_comes_back_from_landing_is_a_failed_landing(event: Event) -> None:
    run = submitted(event)
    assert (run.landings, run.landings_failed) == (0, 1)


@pytest.mark.parametrize("event", NO_LANDING)
def test_what_says_nothing_about_landing_does_not_count(event: Event) -> None:
    run = submitted(event)
    assert (run.landings, run.landings_failed) == (0, 0)


def test_an_attempt_that_fails_by_itself_is_no_landing() -> None:
    run = fold([started(), starting("a", 1, 1), e.TaskRequeued(at=at(2), task="a", reason="exit code 3")])
    assert run.landings_failed == 0


def test_landed_work_counts_and_work_without_a_change_does_not() -> None:
    landed = e.Landed(at=at(3), task="a", commit=TIP, branch="integration/r1")
    assert submitted(landed).landings == 1
    nothing = DONE.evolve(commit=None, no_change=True)
    unchanged = [started(), starting("a", 1, 1), ended("a", 1, 2, nothing, 1), landed.evolve(commit=None)]
    assert fold(unchanged).landings == 0
