"""Runs hold their tasks and groups by locks that the kernel frees (E-8)."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.errors import Busy
from maestro.store.claims import Claim, claim, hold_dead, live_claims, live_runs, working_runs

HOLD = """
import sys, time
from pathlib import Path
from maestro.store.claims import claim
held = claim(Path(sys.argv[1]), run_id="other", since="2026-01-01T00:00:00Z", backlog="b", tasks=["t1"], groups=["g"])
print("held", flush=True)
time.sleep(60)
"""


def hold(locks: Path, run_id: str, tasks: list[str], groups: list[str], backlog: str = "b") -> Claim:
    return claim(locks, run_id=run_id, since="2026-01-01T00:00:00Z", backlog=backlog, tasks=tasks, groups=groups)


def test_a_task_held_by_another_run_is_refused_with_who_and_since_when(tmp_path: Path) -> None:
    first = hold(tmp_path, "one", ["a", "b"], [])
    with pytest.raises(Busy, match=rf"task b is held by run one \(process {os.getpid()}, since 2026"):
        hold(tmp_path, "two", ["b", "c"], [])
    with pytest.raises(Busy, match="task a and 1 more are held by run one") as refused:
        hold(tmp_path, "two", ["b", "a"], [])
    assert "`maestro wait --run-id one`" in refused.value.hint
    first.release()
    hold(tmp_path, "two", ["b", "c"], []).release()


def test_a_group_is_held_whatever_the_backlog(tmp_path: Path) -> None:
    first = hold(tmp_path, "one", ["a"], ["g"])
    with pytest.raises(Busy, match="group g is held by run one"):
        hold(tmp_path, "two", ["x"], ["g"], backlog="other")
    first.release()


def test_equal_ids_of_another_backlog_are_other_tasks(tmp_path: Path) -> None:
    first = hold(tmp_path, "one", ["1"], [])
    second = hold(tmp_path, "two", ["1"], [], backlog="other")
    assert {one["run_id"] for one in live_claims(tmp_path)} == {"one", "two"}
    first.release()
    second.release()
    assert live_claims(tmp_path) == []


def test_the_same_run_id_twice_is_refused(tmp_path: Path) -> None:
    first = hold(tmp_path, "one", ["a"], [])
    with pytest.raises(Busy, match="already under way"):
        hold(tmp_path, "one", ["z"], [])
    first.release()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="task t1 is held by run other"):
            hold(tmp_path, "mine", ["t1"], [])
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    hold(tmp_path, "mine", ["t1"], ["g"]).release()


def clean(locks: Path, run_id: str, tasks: list[str]) -> Claim:
    return hold_dead(locks, run_id=run_id, since="2026-01-01T00:00:00Z", backlog="b", tasks=tasks)


def test_a_dead_run_that_is_cleaned_up_is_not_taken_up_and_says_so(tmp_path: Path) -> None:
    cleaning = clean(tmp_path, "dead", ["a", "b"])
    for run_id, task in (("dead", "z"), ("new", "b")):
        with pytest.raises(Busy, match=rf"run dead is being cleaned up \(process {os.getpid()}, since 2026") as refused:
            hold(tmp_path, run_id, [task], [])
        assert refused.value.hint == "try again when that has ended"
    hold(tmp_path, "new", ["z"], []).release()
    assert (live_runs(tmp_path), working_runs(tmp_path)) == ({"dead"}, set())
    hold(tmp_path, "new", ["b"], [], backlog="another").release()
    with pytest.raises(Busy, match=rf"run dead is being cleaned up \(process {os.getpid()}"):
        clean(tmp_path, "dead", [])
    cleaning.release()
    assert not cleaning.path.exists()
    hold(tmp_path, "dead", ["a"], []).release()


def test_a_run_that_lives_is_not_cleaned_up(tmp_path: Path) -> None:
    held = hold(tmp_path, "live", ["a"], [])
    with pytest.raises(Busy, match=r"run live \(process \d+, since .*\) is already under way"):
        clean(tmp_path, "live", ["a"])
    held.release()


def live_file(locks: Path, run_id: str) -> Path:
    """What a run that died leaves."""
    held = hold(locks, run_id, [], [])
    held.release()
    held.path.touch()
    return held.path


def when_waited_for(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """It happens while a claim waits: a thread might come too late for that where the machine is busy."""
    happens = iter((then,))

    def sleep(_: float) -> None:
        for each in happens:
            each()

    monkeypatch.setattr(time, "sleep", sleep)


def test_a_momentary_look_refuses_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = live_file(tmp_path, "dead")
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    when_waited_for(monkeypatch, lambda: os.close(looking))
    held = hold(tmp_path, "dead", [], [])
    assert held.path == path
    held.release()


def test_a_claim_is_never_on_a_file_that_was_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = live_file(tmp_path, "run")
    former = os.open(path, os.O_RDONLY)
    fcntl.flock(former, fcntl.LOCK_EX)

    def release() -> None:
        path.unlink()
        os.close(former)

    when_waited_for(monkeypatch, release)
    held = hold(tmp_path, "run", ["a"], [])
    assert [one["tasks"] for one in live_claims(tmp_path)] == [["a"]]
    held.release()
