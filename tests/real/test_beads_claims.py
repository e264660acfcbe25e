"""Claims in beads for real: one winner, people first, and no claim believed that was not read back (T-1)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maestro.errors import TrackerError
from maestro.trackers.base import Note
from tests.real.beads_lab import NOTE, Lab, make_lab

pytestmark = pytest.mark.timeout(180)

OURS = ("in_progress", "maestro/r1")


@pytest.fixture
def lab(bd: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(bd, tmp_path, tmp_path_factory)


def state(lab: Lab, *names: str) -> list[tuple[str, str | None]]:
    found = {one["id"]: one for one in json.loads(lab.bd("show", *names, "--json"))}
    return [(found[name]["status"], found[name].get("assignee")) for name in names]


def test_several_are_claimed_by_two_calls_and_none_of_them_twice(lab: Lab) -> None:
    names = [lab.bd.create(f"T{number}") for number in range(4)]
    tracker = lab.tracker()
    tracker.load()
    lab.calls()
    assert tracker.claim_many(dict.fromkeys(names, NOTE)) == {}
    assert lab.calls() == ["update", "list"]
    assert state(lab, *names) == [OURS] * 4
    assert tracker.claim_many(dict.fromkeys(names, NOTE)) == {}
    assert "update" not in lab.calls()


def test_what_people_hold_is_refused_and_left_as_it_is(lab: Lab) -> None:
    free, worked, kept, done, aside = (lab.bd.create(name) for name in ("free", "worked", "kept", "done", "aside"))
    lab.bd("update", worked, "--claim", actor="alice")
    lab.bd("update", kept, "--assignee", "bob")
    lab.bd("close", done, "--reason", "no longer wanted")
    lab.bd("update", aside, "--status", "blocked")
    tracker = lab.tracker()
    tasks = {task.id: task for task in tracker.load()}
    assert (tasks[worked].set_aside, tasks[kept].set_aside) == ("is assigned to alice", "is assigned to bob")
    assert [tasks[name].is_runnable for name in (free, worked, kept, done, aside)] == [True, False, False, False, False]
    before = lab.bd("show", worked, kept, done, aside, "--json")
    refused = tracker.claim_many(dict.fromkeys([free, worked, kept, done, aside, "demo-none"], NOTE))
    assert refused == {
        worked: "it is assigned to alice",
        kept: "it is assigned to bob",
        done: "it was closed meanwhile (no longer wanted)",
        aside: "beads says it is blocked",
        "demo-none": "beads has no task 'demo-none'",
    }
    assert state(lab, free) == [OURS]
    assert lab.bd("show", worked, kept, done, aside, "--json") == before


def test_a_person_who_is_quicker_wins(lab: Lab) -> None:
    mine, hers, closed = (lab.bd.create(name) for name in ("mine", "hers", "closed"))
    tracker = lab.tracker()
    tracker.load()
    lab.hook_once("update", f"{lab.a_person('update', hers, '--claim')}; {lab.a_person('close', closed)}")
    refused = tracker.claim_many(dict.fromkeys([mine, hers], NOTE))
    assert refused == {hers: "it is assigned to alice"}
    assert state(lab, mine, hers) == [OURS, ("in_progress", "alice")]
    assert tracker.claim_many({closed: NOTE}) == {closed: "it was closed meanwhile (Closed)"}


def test_a_person_who_takes_it_right_after_our_claim_wins(lab: Lab) -> None:
    name = lab.bd.create("contested")
    tracker = lab.tracker()
    tracker.load()
    lab.hook_once("list", lab.a_person("update", name, "--assignee", "alice"))
    with pytest.raises(TrackerError, match="it is assigned to alice"):
        tracker.claim(name, NOTE)


CHILD = """
import os, sys
from pathlib import Path
from maestro.trackers.base import Note
from maestro.trackers.beads.tracker import Beads
tracker = Beads(Path(sys.argv[1]), None, os.environ)
tracker.load()
print("ready", flush=True)
sys.stdin.readline()
refused = tracker.claim_many({name: Note(run_id=sys.argv[2]) for name in sys.argv[3:]})
print(*[name for name in sys.argv[3:] if name not in refused])
"""


def test_two_runs_that_claim_at_once_never_both_win(lab: Lab, tmp_path: Path) -> None:
    """bd 0.47 alone tells both that they won, so the calls of one are over before those of the other begin."""
    names = [lab.bd.create(f"T{number}") for number in range(3)]
    log = tmp_path / "log"
    lab.hook(
        f'[ "$verb" = update ] || [ "$verb" = list ] && {{ echo $BEADS_ACTOR $verb >>\'{log}\'; sleep 0.3;'
        f' "$REAL" "$@"; code=$?; echo $BEADS_ACTOR over >>\'{log}\'; exit $code; }}'
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(lab.path), run, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for run in ("first", "second")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    won = [child.communicate()[0].split() for child in children]
    assert sorted(won[0] + won[1]) == sorted(names)
    steps = [line.split()[1] for line in log.read_text().splitlines()]
    assert steps == ["update", "over", "list", "over"] * (len(steps) // 4)
    holders = [assignee for _, assignee in state(lab, *names)]
    assert holders == ["maestro/first" if name in won[0] else "maestro/second" for name in names]


def test_what_a_dead_run_left_behind_is_taken_over_and_a_living_ones_is_not(lab: Lab) -> None:
    left, held = lab.bd.create("left"), lab.bd.create("held")
    lab.tracker().claim_many({left: Note(run_id="dead"), held: Note(run_id="alive")})
    tracker = lab.tracker(runs_alive=lambda run: run != "dead")
    tasks = {task.id: task for task in tracker.load()}
    assert tasks[left].is_runnable
    assert tasks[held].set_aside == "is assigned to maestro/alive"
    assert tracker.claim_many({left: NOTE, held: NOTE}) == {held: "it is assigned to maestro/alive"}
    assert state(lab, left, held) == [OURS, ("in_progress", "maestro/alive")]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_bd_that_is_killed_is_read_back_before_anything_else(lab: Lab, moment: str) -> None:
    name = lab.bd.create("T")
    tracker = lab.tracker()
    tracker.load()
    lab.calls()
    done = '"$REAL" "$@" >/dev/null; ' if moment == "after" else ""
    lab.hook_once("update", f"{done}kill -9 $$")
    assert tracker.claim_many({name: NOTE}) == {}
    assert lab.calls() == ["update", "list"] + (["update", "list"] if moment == "before" else [])
    assert state(lab, name) == [OURS]


def test_a_bd_that_hangs_is_stopped_with_all_that_it_started(lab: Lab) -> None:
    name = lab.bd.create("T")
    tracker = lab.tracker(timeout_seconds=5)
    tracker.load()
    lab.hook_once("update", '"$REAL" "$@" >/dev/null; sleep 1000 & wait')
    assert tracker.claim_many({name: NOTE}) == {}  # and the test would fail on a sleep left behind
    assert state(lab, name) == [OURS]


def test_a_bd_that_always_hangs_is_an_error_not_a_claim(lab: Lab) -> None:
    name = lab.bd.create("T")
    tracker = lab.tracker(timeout_seconds=2)
    lab.hook("exec sleep 1000")
    with pytest.raises(TrackerError, match="`bd version` did not end within 2 s"):
        tracker.claim_many({name: NOTE})
    lab.no_hook()
    assert state(lab, name) == [("open", None)]


def test_a_database_that_somebody_holds_is_waited_for(lab: Lab) -> None:
    name = lab.bd.create("T")
    tracker = lab.tracker()
    tracker.load()
    with lab.held_by_another_process() as holder:
        later = threading.Timer(2, lambda: holder.stdin and holder.stdin.close())
        later.start()
        assert tracker.claim_many({name: NOTE}) == {}
        later.join()
        holder.stdin = None
    assert state(lab, name) == [OURS]


def test_lock_words_are_tried_again_within_the_limit(lab: Lab) -> None:
    name = lab.bd.create("T")
    tracker = lab.tracker(lock_seconds=0.5)
    tracker.load()
    lab.calls()
    lab.hook_once("update", 'echo "Error: failed to open database: database is locked" >&2; exit 1')
    assert tracker.claim_many({name: NOTE}) == {}
    assert lab.calls() == ["update", "update", "list"]
    lab.hook('[ "$verb" = list ] && { echo "Error: sqlite3: database is locked" >&2; exit 1; }')
    with pytest.raises(TrackerError, match="database is locked") as caught:
        tracker.claim_many({lab.bd.create("U"): NOTE})
    assert "locked by another process" in caught.value.hint


def test_a_part_of_an_id_that_beads_takes_for_another_issue_is_noticed(lab: Lab) -> None:
    name, other = lab.bd.create("T"), lab.bd.create("U")
    tracker = lab.tracker()
    tracker.load()
    lab.hook_once("update", f'exec "$REAL" update {other} --claim --json')
    with pytest.raises(TrackerError, match=f"bd took {name} for {other}"):
        tracker.claim(name, NOTE)
