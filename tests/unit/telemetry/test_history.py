"""The history of runs (S-2): a fold of journals that can be thrown away, written by several runs at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from maestro.errors import StateError
from maestro.model import events as e
from maestro.model.events import Event
from maestro.model.gate import GatePassed
from maestro.model.outcome import LimitHit, Usage
from maestro.store.claims import claim
from maestro.store.historydb import SCHEMA, history, history_in_memory
from maestro.store.journal import Journal
from maestro.store.landed import LandedRecord, append
from maestro.store.layout import Layout
from maestro.telemetry.history import HistoryObserver, bring_up_to_date
from maestro.telemetry.history_rows import RunRows
from maestro.testing.story import DONE, RED, STORY, at, ended, started, starting
from maestro.wiring.preparing import prepare_state


def write_journal(layout: Layout, run_id: str, events: Sequence[Event]) -> None:
    async def write() -> None:
        journal = Journal(layout.journal(run_id))
        await journal.record(*events)
        await journal.close()

    asyncio.run(write())


def observe(layout: Layout, events: Sequence[Event], kinds: dict[str, str] | None = None) -> HistoryObserver:
    observer = HistoryObserver(layout, kinds or {})
    for event in events:
        observer.notify(event)
    observer.close()
    return observer


def read(layout: Layout, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(layout.history)) as db:
        return db.execute(query).fetchall()


def synced(layout: Layout, *, anew: bool = False) -> tuple[str, ...]:
    with history(layout, anew=anew) as found:
        return bring_up_to_date(layout, found)


def dump(layout: Layout) -> list[str]:
    with contextlib.closing(sqlite3.connect(layout.history)) as db:
        return list(db.iterdump())


def test_a_whole_run_is_in_every_table(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    observe(layout, STORY, {"a": "backend-architect"})
    runs = read(layout, "SELECT run_id, status, tasks, landed, failed, blocked, attempts, retries, cost_usd FROM runs")
    assert runs == [("r1", "failed", 3, 1, 1, 1, 3, 1, 1.0)]
    tasks = read(layout, "SELECT task, kind, groups, state, attempts, conflicts, seconds, saved_ref FROM tasks")
    assert tasks == [
        ("a", "backend-architect", "X", "landed", 1, 0, 10.0, None),
        ("b", "", "X", "failed", 2, 1, 15.0, "refs/maestro/saved/r1/b"),
        ("c", "", "Y", "blocked", 0, 0, None, None),
    ]
    assert read(layout, "SELECT task, attempt, outcome FROM attempts") == [
        ("a", 1, "succeeded"), ("b", 1, "failed: exit"), ("b", 2, "succeeded")
    ]  # fmt: skip
    assert read(layout, "SELECT task, commit_id, undone FROM landings") == [("a", "f" * 40, None)]
    assert read(layout, "SELECT result, seconds, tasks FROM gates") == [
        ("passed", 2.0, '["a"]'), ("red", 1.0, '["b"]')
    ]  # fmt: skip
    assert read(layout, "SELECT day, agent, attempts, cost_usd, tokens FROM spend") == [
        ("2025-03-01", "claude", 3, 1.0, 240)
    ]


def test_the_journals_alone_give_the_same(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    append(layout.landed, LandedRecord(backlog="b", task="a", run_id="r1", branch="x", commit="c", kind="docs"))
    observe(layout, STORY, {"a": "docs"})
    told = dump(layout)
    synced(layout, anew=True)
    assert dump(layout) == told
    layout.history.unlink()
    synced(layout)
    assert dump(layout) == told


def test_a_run_that_died_is_interrupted_and_one_that_lives_is_not(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY[:6])
    holding = claim(layout.locks, run_id="r1", since="now", backlog="b", tasks=["a"], groups=[])
    synced(layout)
    assert read(layout, "SELECT status FROM runs") == [("running",)]
    holding.release()
    synced(layout)
    [(status, reason)] = read(layout, "SELECT status, reason FROM runs")
    assert status == "interrupted"
    assert "died" in reason


def test_only_what_has_grown_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    synced(layout)
    read_again: list[Path] = []
    monkeypatch.setattr("maestro.telemetry.history.read_journal", read_again.append)
    synced(layout)
    assert read_again == []
    monkeypatch.undo()
    write_journal(layout, "r1", [e.RollingBack(
        at=at(30), checkpoint="start", branch="integration/r1", expected="f" * 40, commit="0" * 40, tasks=("a",)
    )])  # fmt: skip
    synced(layout)
    assert read(layout, "SELECT status, landed, rolled_back FROM runs") == [("interrupted", 0, 1)]
    assert read(layout, "SELECT undone FROM landings") == [("2025-03-01T12:00:30.000Z",)]


@pytest.mark.parametrize("what", ["nonsense", "truncated", "older", "empty"])
def test_what_cannot_be_used_is_made_anew(tmp_path: Path, what: str) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    synced(layout)
    whole = dump(layout)
    if what == "older":
        with contextlib.closing(sqlite3.connect(layout.history)) as db, db:
            db.execute("DROP TABLE gates")
            db.execute(f"PRAGMA user_version = {SCHEMA - 1}")
    else:
        data = layout.history.read_bytes()
        broken = {"nonsense": b"no database" * 1000, "truncated": data[: len(data) // 2], "empty": b""}
        layout.history.write_bytes(broken[what])
    synced(layout)
    assert dump(layout) == whole
    assert sorted(path.name for path in layout.root.glob("history*")) == ["history.db"]


def test_what_a_newer_maestro_wrote_is_left_alone_until_it_is_asked_for_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    synced(layout)
    with contextlib.closing(sqlite3.connect(layout.history)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = layout.history.read_bytes()
    with pytest.raises(StateError, match="newer maestro"):
        synced(layout)
    assert layout.history.read_bytes() == before
    synced(layout, anew=True)
    assert read(layout, "PRAGMA user_version") == [(SCHEMA,)]


def test_the_old_one_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    synced(layout)
    before = layout.history.read_bytes()
    with pytest.raises(RuntimeError), history(layout, anew=True):
        raise RuntimeError("the power fails")
    assert layout.history.read_bytes() == before
    assert not list(layout.root.glob("history.db?*"))


def test_a_damaged_journal_is_named_and_hinders_no_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    layout.journal("bad").parent.mkdir(parents=True)
    layout.journal("bad").write_text("no journal\n")
    assert synced(layout) == ("bad",)
    assert read(layout, "SELECT run_id FROM runs") == [("r1",)]


def test_a_full_or_forbidden_disk_is_raised_at_the_end_and_nowhere_else(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.root.parent.mkdir(parents=True)
    layout.root.write_text("a file where the folder should be")
    observer = HistoryObserver(layout, {})
    for event in STORY:
        observer.notify(event)
    with pytest.raises(StateError):
        observer.close()


def test_several_processes_write_at_once_and_none_is_lost(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom maestro.store.layout import Layout\n"
        "from maestro.telemetry.history import HistoryObserver\nfrom maestro.testing.story import STORY, started\n"
        "for n in range(10):\n"
        "    observer = HistoryObserver(Layout(Path(sys.argv[1])), {})\n"
        "    for event in (started(run_id=f'{sys.argv[2]}-{n}'), *STORY[1:]):\n        observer.notify(event)\n"
        "    observer.close()\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name]) for name in "pq"]
    assert [child.wait(60) for child in children] == [0, 0]
    assert read(Layout(tmp_path), "SELECT count(*) FROM runs") == [(20,)]


def test_what_happened_before_this_process_is_in_it_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    observer = HistoryObserver(layout, {})
    observer.restore(STORY[:12])
    for event in STORY[12:]:
        observer.notify(event)
    observer.close()
    told = dump(layout)
    observe(layout, STORY)
    assert dump(layout) == told


def test_it_hides_from_git_and_leaves_the_users_ignore_file_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    layout = Layout(tmp_path)
    prepare_state(layout)
    (layout.root / ".gitignore").write_text("notes.txt\n")
    synced(layout)
    said = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"], cwd=tmp_path, capture_output=True, text=True
    )
    assert said.stdout == "?? .flow/maestro/.gitignore\n"
    assert (layout.root / ".gitignore").read_text() == "notes.txt\n"


def test_a_history_in_memory_is_like_one_on_disk(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_journal(layout, "r1", STORY)
    with history_in_memory() as found:
        bring_up_to_date(layout, found)
        assert found.select("SELECT landed FROM runs") == [{"landed": 1}]
    assert not layout.history.exists()


def test_folding_costs_far_less_than_a_millisecond_a_task() -> None:
    names = tuple(f"t{n}" for n in range(2000))
    events = [started(tasks=names, titles={}, dependencies={}, groups={}, levels=())]
    for name in names:
        events += [
            starting(name, 1, 2),
            e.AttemptSpawned(at=at(2), task=name, attempt_id=f"r1/{name}/1", pid=1, pid_started=1.0),
            ended(name, 1, 3, DONE, 1),
            e.GateStarted(at=at(3), commit="f" * 40, tasks=(name,), command="x"),
            e.Landed(at=at(4), task=name, commit="f" * 40, branch="integration/r1"),
            e.TrackerWriting(at=at(4), task=name, progress="done"),
            e.TrackerWritten(at=at(4), task=name, progress="done"),
        ]
    folded = RunRows()
    before = time.process_time()
    for event in events:
        folded.take(event)
    folded.rows()
    assert (time.process_time() - before) / len(names) < 0.0005


def test_that_a_run_went_sequential_and_when_it_was_worked_on_is_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    events = [
        *STORY[:-1],
        e.WentSequential(at=at(23), reason="3 of 5 landings failed"),
        STORY[-1],
        e.RunResumed(at=at(3600), maestro_version="0.1.0", pid=1, pid_started=1.0, reopened=("b",)),
        starting("b", 3, 3601),
        e.RunEnded(at=at(3610), status=STORY[-1].status),  # type: ignore[attr-defined]
    ]
    observe(layout, events)
    [row] = read(layout, "SELECT went_sequential, resumed, wall_seconds, attempts FROM runs")
    assert row == ("3 of 5 landings failed", 1, 34.0, 4)


def test_nobody_worked_on_a_run_that_died_until_it_was_put_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    back = e.RollingBack(
        at=at(3600), checkpoint="start", branch="integration/r1", expected="a" * 40, commit="0" * 40, tasks=()
    )
    events: list[Event] = [*STORY[:-1], back, e.RolledBack(at=at(3605), checkpoint="start")]
    observe(layout, events)
    last = (events[-3].at - events[0].at).total_seconds()
    assert read(layout, "SELECT wall_seconds, status FROM runs") == [(last, "interrupted")]


def test_a_task_that_is_tried_again_has_nothing_left_of_its_end(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    events: list[Event] = [
        started(),
        starting("a", 1, 1),
        ended("a", 1, 2, RED, 1),
        e.TaskFailed(at=at(3), task="a", reason="exit code 3", saved_ref="refs/a"),
        e.RunResumed(at=at(4), maestro_version="0.1.0", pid=1, pid_started=1.0, reopened=("a",)),
    ]
    observe(layout, events)
    query = "SELECT state, reason, saved_ref, ended_at FROM tasks WHERE task = 'a'"
    assert read(layout, query) == [("pending", "", None, None)]


def test_a_conversation_that_is_gone_on_with_is_paid_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)

    def told(cost: float, tokens: int) -> Usage:
        return Usage(cost_usd=cost, input_tokens=tokens, session_id="s", whole_conversation=True)

    observe(
        layout,
        [
            started(),
            starting("a", 1, 1),
            ended("a", 1, 2, LimitHit(reason="429", usage=told(1.0, 10)), 1),
            e.TaskRequeued(at=at(2), task="a", reason="hold"),
            starting("a", 2, 3),
            ended("a", 2, 4, DONE.evolve(usage=told(1.5, 30)), 1),
            e.ModelUsed(at=at(5), asked_for="the context", marker="m", usage=Usage(cost_usd=0.25)),
        ],
    )
    assert read(layout, "SELECT attempt, cost_usd, tokens FROM attempts") == [(1, 1.0, 10), (2, 0.5, 20)]
    assert read(layout, "SELECT cost_usd, tokens FROM runs") == [(1.75, 30)]
    assert read(layout, "SELECT cost_usd FROM tasks WHERE task = 'a'") == [(1.5,)]
    assert read(layout, "SELECT agent, attempts, cost_usd FROM spend ORDER BY agent") == [
        ("claude", 2, 1.5),
        ("the context", 0, 0.25),
    ]


def test_a_long_run_is_written_now_and_then(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    observer = HistoryObserver(layout, {})
    for event in (started(), starting("a", 1, 2), ended("a", 1, 10, DONE, 8)):
        observer.notify(event)
    assert not layout.history.exists(), "not for every event"
    observer.notify(starting("b", 1, 40))
    for thread in threading.enumerate():
        if thread.name == "history":
            thread.join()
    assert read(layout, "SELECT status, attempts, journal_bytes FROM runs") == [("running", 2, 0)]
    observer.close()


def test_waits_for_resources_have_a_row_each_and_are_no_part_of_a_gate_s_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    gate: dict[str, Any] = {"commit": "c", "tasks": ("a",)}
    events = [
        started(),
        starting("a", 1, 1),
        e.ResourceTaken(at=at(1), resource="docker", task="a", fencing=7, waited_seconds=0.5),
        e.AttemptTested(at=at(2), task="a", attempt_id="x", number=1, exit_code=0, seconds=1, waited_seconds=2),
        e.GateStarted(at=at(3), command="make test", **gate),
        e.ResourceTaken(at=at(7), resource="tests", fencing=8, waited_seconds=4.0),
        e.GateEnded(at=at(9), result=GatePassed(seconds=2.0), **gate),
    ]
    observe(layout, events)
    assert read(layout, "SELECT resource, task, seconds FROM waits ORDER BY number") == [
        ("docker", "a", 0.5), ("tests", "a", 2.0), ("tests", None, 4.0),
    ]  # fmt: skip
    assert read(layout, "SELECT seconds FROM gates") == [(2.0,)]
