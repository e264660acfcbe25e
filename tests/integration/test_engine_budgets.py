"""Budgets of a run and a day (A-7): a warning, no new starts, what runs lands, and the figures are told."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maestro.engine.context import Chosen
from maestro.engine.spending import Spending
from maestro.model.budget import Budgets, Kind
from maestro.model.events import AttemptStarting, BudgetsSet, DispatchStopped, Event, RunResumed, RunStarted, Warned
from maestro.model.outcome import Failed, FailureKind
from maestro.model.task import Task
from maestro.store.layout import Layout
from maestro.store.spent import SpentLists, SpentRecord, append
from maestro.telemetry.observer import FanOut
from maestro.telemetry.spending import SpendingObserver
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states
from tests.integration.priced_agent import PricedAgent

COSTS = """echo '{"cost": 0.1, "tokens": 100}'; """


def priced(
    repo: Repository,
    root: Path,
    tasks: list[Task],
    budgets: Budgets,
    command: str = COSTS + WRITES,
    parallel: int = 1,
    run_id: str = "r",
) -> EngineRun:
    run = EngineRun(repo, tasks, root, run_id=run_id, max_parallel=parallel, attempts=2)
    agent = PricedAgent(command)
    run.replace(
        choose=lambda _: Chosen(agent, None, (), "for the test"), options=run.context.options._replace(budgets=budgets)
    )
    return run


def said(run: EngineRun, kind: type[Event]) -> list[str]:
    return [getattr(event, "message", getattr(event, "reason", "")) for event in run.seen.events if type(event) is kind]


FIVE = [Task(id=name) for name in "abcde"]


def test_a_spent_budget_stops_new_starts_and_says_what_goes_on(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE, {Kind.RUN_USD: 0.25})
    ended = run.go()
    assert ended.status == "blocked"
    assert states(ended) == {"a": "landed", "b": "landed", "c": "landed", "d": "pending", "e": "pending"}
    assert said(run, Warned) == ["80 % of the budget of the run is spent: 0.2000 of 0.2500 USD"]
    (why,) = said(run, DispatchStopped)
    assert why == ended.reason
    assert why.startswith("the budget of the run is spent: 0.3000 of 0.2500 USD; `maestro resume --run-id r --budget")
    assert ended.metrics["budget"] == {"budget": {"limit": 0.25, "spent": 0.3, "overshoot": 0.05}}
    assert ended.budgets is not None
    assert ended.budgets.limits == {Kind.RUN_USD: 0.25}


def test_what_runs_when_it_is_spent_finishes_and_lands(repo: Repository, tmp_path: Path) -> None:
    """Overshoot is bounded by what was running."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = f'[ "$MAESTRO_TASK_ID" = a ] || read -r _ < {gate}; '
    run = priced(repo, tmp_path / "ws", FIVE, {Kind.RUN_TOKENS: 100.0}, first + COSTS + WRITES, parallel=3)

    def let_go(event: Event) -> None:
        if isinstance(event, DispatchStopped):
            fd = os.open(gate, os.O_RDWR)
            os.write(fd, b"go\ngo\n")
            held.append(fd)

    held: list[int] = []
    run.seen.react = let_go
    ended = run.go()
    os.close(held[0])
    assert sum(state == "landed" for state in states(ended).values()) == 3
    assert ended.metrics["budget"] == {"budget_tokens": {"limit": 100, "spent": 300, "overshoot": 200}}
    assert ended.status == "blocked"


def test_a_budget_spent_by_the_last_task_blocks_nothing(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE[:2], {Kind.RUN_USD: 0.15})
    ended = run.go()
    assert (ended.status, said(run, DispatchStopped)) == ("completed", [])
    assert ended.metrics["budget"]["budget"]["overshoot"] == pytest.approx(0.05)


def test_retries_are_paid_for_and_a_spent_budget_allows_none(repo: Repository, tmp_path: Path) -> None:
    ended = priced(repo, tmp_path / "ws", FIVE[:1], {Kind.RUN_USD: 0.15}, COSTS + "exit 3").go()
    assert (states(ended), ended.spent.cost_usd) == ({"a": "failed"}, pytest.approx(0.2))
    other = priced(repo, tmp_path / "ws2", FIVE[:1], {Kind.RUN_USD: 0.1}, COSTS + "exit 3", run_id="r2").go()
    assert (states(other), other.status, len(other.tasks["a"].attempts)) == ({"a": "pending"}, "blocked", 1)


def test_an_attempt_that_uses_up_its_own_budget_is_stopped_and_its_work_is_saved(
    repo: Repository, tmp_path: Path
) -> None:
    work = f"{WRITES}; {COSTS}[ $MAESTRO_TASK_ID = b ] || {{ {COSTS} sleep 100; }}"
    run = priced(repo, tmp_path / "ws", FIVE[:2], {Kind.ATTEMPT_TOKENS: 150.0, Kind.RUN_TOKENS: 1000.0}, work, 2)
    ended = run.go()
    assert states(ended) == {"a": "failed", "b": "landed"}
    assert ended.tasks["a"].reason == "the budget of the attempt is spent: 200 of 150 tokens"
    assert len(ended.tasks["a"].attempts) == 1, "the same again would spend it again"
    assert repo.files(ended.tasks["a"].saved_ref or "") == ["README.md", "out-a.txt"]
    assert ended.spent.tokens == 300
    (outcome,) = (attempt.outcome for attempt in ended.tasks["a"].attempts)
    assert isinstance(outcome, Failed)
    assert outcome.failure is FailureKind.BUDGET


def test_wall_time_is_looked_at_when_it_runs_out(repo: Repository, tmp_path: Path) -> None:
    """Nothing else happens meanwhile: one attempt runs and another task waits for its slot."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = priced(repo, tmp_path / "ws", FIVE[:2], {Kind.RUN_SECONDS: 2.0}, f"read -r _ < {gate}; {WRITES}")
    held: list[int] = []

    def let_go(event: Event) -> None:
        if isinstance(event, DispatchStopped):
            held.append(os.open(gate, os.O_RDWR))
            os.write(held[0], b"go\n")

    run.seen.react = let_go
    ended = run.go()
    os.close(held[0])
    assert states(ended) == {"a": "landed", "b": "pending"}
    assert " of 2 s; `maestro resume --run-id r --budget-seconds SECONDS`" in ended.reason
    assert [warning[2:40] for warning in said(run, Warned)] == [" % of the budget of the run is spent: "], "at 1.6 s"


def test_an_attempt_that_tells_no_cost_is_said_once(repo: Repository, tmp_path: Path) -> None:
    command = """echo '{"tokens": 5}'; """ + WRITES
    run = priced(repo, tmp_path / "ws", FIVE[:3], {Kind.RUN_USD: 1.0}, command)
    assert run.go().status == "completed"
    assert said(run, Warned) == [
        "an attempt ended without saying what it cost: the budget of the run cannot count such attempts"
    ]


def test_a_day_that_another_run_has_spent_lets_nothing_start(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE, {Kind.DAY_USD: 1.0})
    now = datetime.now(UTC)
    record = SpentRecord(at=now, run_id="other", attempt_id="t/other/x/1", cost_usd=1.5, tokens=None)
    append(run.context.layout.spent, record)
    ended = run.go()
    assert set(states(ended).values()) == {"pending"}
    assert ended.status == "blocked"
    assert "the budget of the day is spent: 1.50 of 1.00 USD since midnight" in ended.reason
    assert not [event for event in run.seen.events if isinstance(event, AttemptStarting)]


def test_two_runs_at_once_both_count_for_the_day(repo: Repository, tmp_path: Path) -> None:
    """The other run spends while this one works; this one's own attempts are in the list as well."""
    run = priced(repo, tmp_path / "ws", FIVE, {Kind.DAY_USD: 1.0})
    layout = run.context.layout
    spending = SpendingObserver(layout.spent, "r")
    run.recorder._observers = FanOut([run.seen, spending])
    now = datetime.now(UTC)

    def other_spends(event: Event) -> None:
        if isinstance(event, AttemptStarting) and event.task == "b":
            append(
                layout.spent,
                SpentRecord(at=now, run_id="other", attempt_id="t/other/x/1", cost_usd=0.85, tokens=None),
            )

    run.seen.react = other_spends
    ended = run.go()
    assert states(ended) == {"a": "landed", "b": "landed", "c": "pending", "d": "pending", "e": "pending"}
    assert ended.metrics["budget"]["day_budget"]["spent"] == pytest.approx(1.05)


def test_a_resumed_run_knows_how_long_it_ran_before(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE, {Kind.RUN_SECONDS: 100.0})
    run.go()
    start = run.built.start

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(start.at.timestamp() + seconds, UTC)

    spending = Spending(run.context, lambda _: None)
    spending.restore(
        [
            start,
            Warned(at=at(30), message="the last word of the first coordinator"),
            RunResumed(at=at(1000), maestro_version="1"),
            Warned(at=at(1012), message="the last word of the second"),
        ]
    )
    assert spending.figures() == {"budget_seconds": {"limit": 100, "spent": 42, "overshoot": 0}}


def test_a_resumed_run_writes_down_what_its_coordinator_died_before(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE[:2], {Kind.RUN_USD: 5.0})
    run.go()
    folder = tmp_path / "spent"
    first = SpendingObserver(folder, "r")
    ends = [event for event in run.seen.events if event.type == "attempt_ended"]  # type: ignore[attr-defined]
    first.notify(ends[0])
    second = SpendingObserver(folder, "r")
    second.restore(run.seen.events)
    second.restore([])
    now = datetime.now(UTC)
    assert len(SpentLists(folder).records(run.built.start.at.date(), now.date())) == 2
    spent = SpentLists(folder).since(run.built.start.at, now)
    assert (spent.cost_usd, spent.tokens) == (pytest.approx(0.2), 200)


def test_budgets_are_said_before_anything_starts(repo: Repository, tmp_path: Path) -> None:
    run = priced(repo, tmp_path / "ws", FIVE[:1], {Kind.RUN_USD: 5.0})
    run.go()
    kinds = [type(event) for event in run.seen.events]
    assert kinds.index(RunStarted) < kinds.index(BudgetsSet) < kinds.index(AttemptStarting)
    assert Layout(repo.path).spent == run.context.layout.spent


def test_the_context_of_a_group_is_paid_for_too(repo: Repository, tmp_path: Path) -> None:
    """`claude --output-format json` says what it cost; where that is all there was, no task starts."""
    answer = tmp_path / "answer.json"
    answer.write_text('{"type": "result", "result": "tea", "num_turns": 1, "total_cost_usd": 0.5}')
    tasks = [Task(id="a", group="x"), Task(id="b", group="x")]
    run = EngineRun(repo, tasks, tmp_path / "ws", refresh_command=f"cat {answer}")
    run.replace(options=run.context.options._replace(budgets={Kind.RUN_USD: 0.4}))
    ended = run.go()
    assert states(ended) == {"a": "pending", "b": "pending"}
    assert ended.spent.cost_usd == 0.5
    assert "0.5000 of 0.4000 USD" in ended.reason
    folder = tmp_path / "spent"
    SpendingObserver(folder, "r").restore(run.seen.events)
    assert SpentLists(folder).since(run.built.start.at, datetime.now(UTC)).cost_usd == 0.5


def test_lists_that_cannot_be_read_stop_new_starts_and_nothing_that_runs(repo: Repository, tmp_path: Path) -> None:
    """Somebody, or a disk, took them away: what is under way has been paid for, and lands."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = f'[ "$MAESTRO_TASK_ID" != b ] || read -r _ < {gate}; '
    run = priced(repo, tmp_path / "ws", FIVE[:3], {Kind.DAY_USD: 5.0, Kind.RUN_USD: 4.0}, slow + COSTS + WRITES, 2)
    held: list[int] = []

    def take_away(event: Event) -> None:
        lists = run.context.layout.spent
        if isinstance(event, AttemptStarting) and event.task == "b":
            (lists / f"{datetime.now(UTC).date().isoformat()}.jsonl").mkdir(parents=True)
        if isinstance(event, DispatchStopped):
            held.append(os.open(gate, os.O_RDWR))
            os.write(held[0], b"go\n")

    run.seen.react = take_away
    ended = run.go()
    os.close(held[0])
    assert states(ended) == {"a": "landed", "b": "landed", "c": "pending"}
    assert ended.status == "blocked"
    (why,) = said(run, DispatchStopped)
    assert why.startswith("what the day has used cannot be known: ")
    assert "cannot be read" in why
    assert "`maestro resume --run-id r` goes on" in why
    assert ended.metrics["budget"] == {"budget": {"limit": 4.0, "spent": 0.2, "overshoot": 0.0}}
