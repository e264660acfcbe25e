"""Runs over a tracker that is slow and that people work on too (T-1): claims ahead, and nothing of others."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from maestro.engine.messages import Interrupted
from maestro.errors import StateError, TrackerError
from maestro.model.events import (
    AttemptEnded,
    AttemptStarting,
    CheckoutChanged,
    Event,
    Landed,
    TrackerAdded,
    TrackerAdding,
    TrackerClaimed,
    TrackerClaiming,
)
from maestro.model.plan import ScheduleKind
from maestro.model.result import result_object
from maestro.model.task import Progress, Task
from maestro.testing.repository import Repository
from maestro.testing.shared_tracker import Call, SharedTracker
from maestro.wiring.untold import take_over
from tests.integration.engine_runs import NO_CHANGE, WRITES, EngineRun, states


class SharedRun(EngineRun):
    """A run over a SharedTracker."""

    shared: SharedTracker

    def __init__(self, repo: Repository, tasks: Sequence[Task], root: Path, **options: Any) -> None:
        self.shared = SharedTracker(tasks)
        options.setdefault("schedule", ScheduleKind.DATAFLOW)
        super().__init__(repo, tasks, root, tracker=self.shared, **options)

    def calls(self, call: Call) -> list[tuple[str, ...]]:
        return [tasks for name, tasks in self.shared.calls if name == call]

    def progress(self) -> dict[str, str]:
        return {task.id: task.progress.value for task in self.shared.load()}

    def events(self, *types: type[Event]) -> list[Any]:
        return [event for event in self.seen.events if isinstance(event, types)]

    def interrupt(self, level: int = 1) -> None:
        assert self.engine is not None
        self.engine.tell(Interrupted(level, "interrupted"))


def tasks(*names: str, **fields: Any) -> list[Task]:
    return [Task(id=name, **fields) for name in names]


def test_claims_go_together_and_ahead_and_every_task_is_claimed_once(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks(*"abcdefgh"), tmp_path / "ws", max_parallel=4)
    ended = run.go()
    assert set(states(ended).values()) == {"landed"}
    claims = run.calls("claim")
    assert claims[:2] == [tuple("abcd"), tuple("efgh")], "those that start, then those that start next"
    assert sorted(task for call in claims for task in call) == list("abcdefgh")
    assert set(run.progress().values()) == {"done"}
    assert not run.shared.overlapped
    assert not any(task.claimed for task in ended.tasks.values()), "nothing is left for a resume to reconcile"


def test_a_freed_slot_takes_what_was_claimed_ahead_without_a_call(repo: Repository, tmp_path: Path) -> None:
    """The tracker stands still from the moment `a` ends: `b` starts all the same."""
    run = SharedRun(repo, tasks("a", "b"), tmp_path / "ws", max_parallel=1)
    started = threading.Event()

    def delay(call: Call, names: tuple[str, ...]) -> None:
        if (call, names) == ("taken", ("a",)):
            assert started.wait(20), "b waited for the tracker"

    def react(event: Event) -> None:
        if isinstance(event, AttemptStarting) and event.task == "b":
            started.set()

    run.shared.delay, run.seen.react = delay, react
    # so that the claim of b is over before a is: the agent of a waits for it
    flag = tmp_path / "b-is-claimed"

    def claimed(event: Event) -> None:
        if isinstance(event, TrackerClaimed) and event.tasks == ("b",):
            flag.touch()
        react(event)

    run.seen.react = claimed
    run.replace(environ={**run.context.environ, "FLAG": str(flag)}, env_allow=("FLAG",))
    assert states(run.go()) == {"a": "landed", "b": "landed"}
    assert run.calls("claim") == [("a",), ("b",)]


def test_what_a_landing_frees_was_claimed_while_it_ran(repo: Repository, tmp_path: Path) -> None:
    given = [Task(id="a"), Task(id="b", dependencies=("a",)), Task(id="c", dependencies=("b",))]
    run = SharedRun(repo, given, tmp_path / "ws", max_parallel=2)
    ended = run.go()
    assert set(states(ended).values()) == {"landed"}
    assert run.calls("claim") == [("a",), ("b",), ("c",)]
    events = run.events(TrackerClaimed, Landed)
    assert [type(event) for event in events[:3]] == [TrackerClaimed, TrackerClaimed, Landed], "b before a landed"


def test_claims_are_in_the_journal_before_and_after(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a", "b"), tmp_path / "ws", max_parallel=2)
    run.shared.take("b", "bob has it")
    seen: list[bool] = []
    run.shared.delay = lambda call, _: call == "claim" and seen.append(bool(run.events(TrackerClaiming)))
    ended = run.go()
    assert seen[0], "before the call"
    assert [event.tasks for event in run.events(TrackerClaiming)] == [("a", "b")]
    (claimed,) = run.events(TrackerClaimed)
    assert (claimed.tasks, claimed.refused) == (("a",), {"b": "bob has it"})
    assert states(ended) == {"a": "landed", "b": "blocked"}
    assert ended.tasks["b"].reason == "the tracker does not give it out: bob has it"
    assert not ended.tasks["b"].claimed


def test_a_task_that_a_person_takes_while_it_runs_is_not_landed(repo: Repository, tmp_path: Path) -> None:
    given = [*tasks("a", "c"), Task(id="b", dependencies=("a",))]
    run = SharedRun(repo, given, tmp_path / "ws")

    def react(event: Event) -> None:
        if isinstance(event, AttemptStarting) and event.task == "a":
            run.shared.take("a", "bob has closed it")

    run.seen.react = react
    ended = run.go()
    assert states(ended) == {"a": "blocked", "b": "blocked", "c": "landed"}
    assert ended.tasks["a"].reason == "bob has closed it, so its work was not landed"
    assert ended.tasks["b"].reason == "depends on 'a', which was closed or taken by somebody else while it ran"
    assert repo.files(ended.tasks["a"].saved_ref or "") == ["README.md", "out-a.txt"]
    assert repo.files("integration/r") == ["README.md", "out-c.txt"]
    assert Counter(task for task, _, _ in run.shared.writes) == {"a": 1, "b": 2, "c": 2}, "no end is told of theirs"
    assert run.progress() == {"a": "in_progress", "c": "done", "b": "open"}
    assert ended.status == "blocked"


def test_no_change_is_not_said_of_a_task_that_a_person_took(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws", agent=NO_CHANGE)
    run.shared.delay = lambda call, _: call == "taken" and run.shared.take("a", "bob has it")
    ended = run.go()
    assert (states(ended), ended.tasks["a"].saved_ref) == ({"a": "blocked"}, None)


@pytest.mark.parametrize("level", [1, 2])
def test_an_interrupt_opens_again_what_was_claimed_ahead(repo: Repository, tmp_path: Path, level: int) -> None:
    agent = WRITES if level == 1 else "sleep 60"
    run = SharedRun(repo, tasks(*"abcdef"), tmp_path / "ws", max_parallel=2, agent=agent, stop_interrupt_seconds=0)

    def react(event: Event) -> None:
        if isinstance(event, TrackerClaiming) and event.tasks == ("c", "d"):
            run.interrupt()  # while the claim is being made
            if level == 2:
                run.interrupt(2)

    run.seen.react = react
    ended = run.go()
    assert ended.status == "interrupted"
    mine = "done" if level == 1 else "open"
    assert run.progress() == {"a": mine, "b": mine, "c": "open", "d": "open", "e": "open", "f": "open"}
    assert [task.claimed for task in ended.tasks.values()] == [False] * 6


@pytest.mark.parametrize("level", [1, 2])
def test_nothing_starts_whose_claim_comes_after_the_interrupt(repo: Repository, tmp_path: Path, level: int) -> None:
    run = SharedRun(repo, tasks("a", "b"), tmp_path / "ws")

    def react(event: Event) -> None:
        if isinstance(event, TrackerClaiming):
            run.interrupt(level)

    run.seen.react = react
    ended = run.go()
    assert (ended.status, states(ended)) == ("interrupted", {"a": "pending", "b": "pending"})
    assert run.events(AttemptStarting) == []
    assert set(run.progress().values()) == {"open"}
    assert [task.claimed for task in ended.tasks.values()] == [False] * 2


def test_what_waits_for_another_attempt_when_the_run_ends_is_opened_again(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws", agent=f"{WRITES}; exit 1", attempts=2)

    def react(event: Event) -> None:
        if isinstance(event, AttemptEnded):
            run.interrupt()

    run.seen.react = react
    ended = run.go()
    assert (ended.status, states(ended), run.progress()) == ("interrupted", {"a": "pending"}, {"a": "open"})
    (_, progress, note), *_ = run.shared.writes[::-1]
    assert (progress, note.saved_ref) == (Progress.OPEN, "refs/maestro/saved/r/a")
    assert note.reason.startswith("the run ended before another attempt: ")
    assert "exit code 1" in note.reason


def test_what_was_claimed_ahead_is_opened_again_as_soon_as_it_cannot_start(repo: Repository, tmp_path: Path) -> None:
    given = [*tasks("a", "b", "c", group="x"), *tasks("z", group="y")]
    run = SharedRun(repo, given, tmp_path / "ws", max_parallel=2, attempts=1, agent="exit 1", schedule="stages")
    ended = run.go()
    assert states(ended) == {"a": "failed", "b": "failed", "c": "failed", "z": "blocked"}
    assert set(run.progress().values()) == {"open"}


def test_a_refusal_ahead_of_need_is_asked_for_again_at_the_start(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a", "b"), tmp_path / "ws", max_parallel=1)
    refusals = 0

    def delay(call: Call, names: tuple[str, ...]) -> None:
        nonlocal refusals
        if (call, names) == ("claim", ("b",)):
            refusals += 1
            if refusals == 1:
                raise TrackerError("bd did not answer")

    run.shared.delay = delay
    assert states(run.go()) == {"a": "landed", "b": "landed"}
    assert run.calls("claim") == [("a",), ("b",), ("b",)]


def test_a_person_may_work_in_the_checkout_on_what_they_took(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, [Task(id="a", files=("a.txt",)), Task(id="b")], tmp_path / "ws")
    run.shared.take("a")

    def delay(call: Call, names: tuple[str, ...]) -> None:
        if call == "claim" and "a" in names:
            (repo.path / "a.txt").write_text("by hand")

    run.shared.delay = delay
    ended = run.go()
    (changed,) = run.events(CheckoutChanged)
    assert (changed.task, "a.txt" in changed.changes[0]) == (None, True)
    assert (states(ended), ended.stopped) == ({"a": "blocked", "b": "landed"}, None)


def test_a_tracker_that_breaks_is_said_and_the_run_ends(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws")

    def delay(call: Call, _: tuple[str, ...]) -> None:
        raise TrackerError(f"bd {call} hangs")

    run.shared.delay = delay
    ended = run.go()
    assert ended.tasks["a"].reason == "the tracker does not give it out: bd claim hangs"


def test_a_tracker_that_cannot_be_asked_or_told_keeps_nothing_from_landing(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws")

    def delay(call: Call, _: tuple[str, ...]) -> None:
        if call != "claim":
            raise TrackerError(f"bd {call} hangs")

    run.shared.delay = delay
    ended = run.go()
    assert (states(ended), ended.status) == ({"a": "landed"}, "completed")
    assert ended.warnings == ("the tracker could not be asked whether a is still ours: bd taken hangs",)
    assert result_object(ended, {})["tasks"]["a"]["tracker_error"] == "bd write hangs"
    assert ended.tasks["a"].claimed, "a resume has to tell it"


REPORT = {
    "status": "done",
    "discovered": [{"title": "Fix the door", "description": "it creaks", "kind": "bug"}, {"title": "Paint it"}],
}
FOUND = f"""printf '%s' '{json.dumps(REPORT)}' > "$MAESTRO_REPORT_FILE"; {WRITES}"""
TITLES = "Fix the door (it creaks); Paint it"


def test_discovered_work_becomes_tasks_after_landing(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws", agent=FOUND)
    ended = run.go()
    ids = ("a-found-1", "a-found-2")
    order = [type(event) for event in run.events(Landed, TrackerAdding, TrackerAdded)]
    assert order == [Landed, TrackerAdding, TrackerAdded]
    assert (run.events(TrackerAdding)[0].titles, run.events(TrackerAdded)[0].ids) == (("Fix the door", "Paint it"), ids)
    assert result_object(ended, {})["tasks"]["a"]["discovered"] == list(ids)
    assert [task.title for task in run.shared.load()] == ["", "Fix the door", "Paint it"]
    assert ended.warnings == ()


def test_what_a_run_landed_and_could_not_tell_the_next_one_tells(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws", agent=FOUND)

    def delay(call: Call, _: tuple[str, ...]) -> None:
        if call in ("write", "discover"):
            raise TrackerError("bd hangs")

    run.shared.delay = delay
    run.go()
    assert run.progress() == {"a": "in_progress"}
    run.shared.delay = lambda *_: None
    git, layout = run.context.git, run.context.layout
    assert take_over(git, layout, run.shared) == ("a",)
    assert run.progress() == {"a": "done", "a-found-1": "open", "a-found-2": "open"}
    assert take_over(git, layout, run.shared) == ()


def test_discovered_work_that_cannot_be_added_is_said(repo: Repository, tmp_path: Path) -> None:
    run = SharedRun(repo, tasks("a"), tmp_path / "ws", agent=FOUND)

    def delay(call: Call, _: tuple[str, ...]) -> None:
        if call == "discover":
            raise TrackerError("the database is locked")

    run.shared.delay = delay
    (said,) = run.go().warnings
    assert said == f"the agent of a discovered work, but it could not be added (the database is locked): {TITLES}"


def test_discovered_work_is_said_where_the_backlog_is_a_file(repo: Repository, tmp_path: Path) -> None:
    run = EngineRun(repo, tasks("a"), tmp_path / "ws", agent=FOUND)
    (said,) = run.go().warnings
    assert said == f"the agent of a discovered work, but a memory backlog gets no tasks from maestro: {TITLES}"


def test_a_run_that_cannot_go_on_keeps_the_work_and_leaves_nobody_waiting(
    repo: Repository, tmp_path: Path, mocker: MockerFixture
) -> None:
    run = SharedRun(repo, tasks("a", "b"), tmp_path / "ws", max_parallel=1)
    full = StateError("the disk is full")

    def delay(call: Call, _: tuple[str, ...]) -> None:
        if call == "taken":
            mocker.patch.object(run.journal, "record", side_effect=full)
            raise TrackerError("and bd hangs")

    run.shared.delay = delay
    with pytest.raises(StateError, match="the disk is full"):
        run.go()
    assert repo.files("refs/maestro/saved/r/a") == ["README.md", "out-a.txt"]


def test_no_more_is_held_than_may_start_next(repo: Repository, tmp_path: Path) -> None:
    names = [f"t{number:02d}" for number in range(12)]
    run = SharedRun(repo, tasks(*names), tmp_path / "ws", max_parallel=2)
    held: Counter[str] = Counter()
    most = 0

    def react(event: Event) -> None:
        nonlocal most
        if isinstance(event, TrackerClaimed):
            held.update(event.tasks)
        elif isinstance(event, AttemptStarting):
            held[event.task] -= 1
        most = max(most, held.total())

    run.seen.react = react
    assert set(states(run.go()).values()) == {"landed"}
    assert most <= 4, "two that start and two that start next"
    assert {task for task, progress, _ in run.shared.writes if progress is Progress.OPEN} == set()
