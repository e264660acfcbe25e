"""Families ended without an event loop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest

from maestro.proc.ending import QUICK, end_family, signal_process, wait_for
from maestro.proc.family import ProcessId, identify, members
from maestro.testing.processes import until

VARIABLE = "MAESTRO_LOCK_0123"


class Family:
    """Children with a mark of this test."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, script: str, *, marked: bool = True) -> subprocess.Popen[bytes]:
        env = {**os.environ, **({VARIABLE: self.mark} if marked else {})}
        one = subprocess.Popen(["sh", "-c", script], env=env, start_new_session=True)
        self.children.append(one)
        return one

    def is_complete(self, count: int) -> bool:
        return len(members(self.mark, VARIABLE)) == count


@pytest.fixture
def family() -> Iterator[Family]:
    family = Family()
    yield family
    end_family(family.mark, VARIABLE, [(signal.SIGKILL, 10.0)])
    for one in family.children:
        one.kill()
        one.wait()


def test_all_of_it_ends_and_nobody_else(family: Family) -> None:
    family.start("setsid sleep 600 & sleep 600 & sleep 600; true")
    stranger = family.start("exec sleep 600", marked=False)
    until(lambda: family.is_complete(4))
    assert end_family(family.mark, VARIABLE, QUICK)
    assert members(family.mark, VARIABLE) == []
    assert stranger.poll() is None


def test_the_next_rung_where_one_is_not_heard(family: Family) -> None:
    one = family.start("trap '' TERM; sleep 600; sleep 600")
    until(lambda: family.is_complete(2))
    assert end_family(family.mark, VARIABLE, [(signal.SIGTERM, 0.1), (signal.SIGKILL, 10.0)])
    assert one.wait() == -signal.SIGKILL


def test_a_stopped_one_follows_the_signal(family: Family) -> None:
    one = family.start("exec sleep 600")
    until(lambda: family.is_complete(1))
    os.kill(one.pid, signal.SIGSTOP)
    assert end_family(family.mark, VARIABLE, [(signal.SIGTERM, 10.0)])
    assert one.wait() == -signal.SIGTERM


def test_newcomers_are_ended_too(family: Family) -> None:
    one = family.start("trap 'sleep 600 & sleep 600' TERM; while :; do sleep 0.01; done")
    until(lambda: len(members(family.mark, VARIABLE)) >= 1)
    assert end_family(family.mark, VARIABLE, QUICK)
    assert one.wait() != 0
    assert members(family.mark, VARIABLE) == []


def test_it_says_where_some_live_on(family: Family) -> None:
    family.start("trap '' TERM; sleep 600; sleep 600")
    until(lambda: family.is_complete(2))
    began = time.monotonic()
    assert not end_family(family.mark, VARIABLE, [(signal.SIGTERM, 0.1)])
    assert time.monotonic() - began >= 0.1


def test_nothing_to_end_takes_no_time() -> None:
    assert end_family(uuid.uuid4().hex, VARIABLE, QUICK)


def test_a_pid_that_is_used_again_is_not_signalled(family: Family) -> None:
    one = family.start("exec sleep 600")
    known = identify(one.pid)
    assert known is not None
    assert not signal_process(ProcessId(one.pid, known.started - 1), signal.SIGKILL)
    assert one.poll() is None
    assert signal_process(known, signal.SIGKILL)
    assert one.wait() == -signal.SIGKILL
    assert not signal_process(known, signal.SIGKILL)


def test_waiting_for_processes_ends_with_them(family: Family) -> None:
    one = family.start("exec sleep 600")
    known = identify(one.pid)
    assert known is not None
    wait_for([known], 0.02)
    one.kill()
    wait_for([known], 60.0)
    with suppress(ChildProcessError):
        assert one.wait() == -signal.SIGKILL
    wait_for([known], 60.0)
