"""A slot whose holder has died while its family goes on: agents outlive their coordinator, and keep what they have."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.proc.ending import QUICK, end_family
from maestro.proc.family import ProcessId, members
from maestro.proc.marker import MARKER
from maestro.resources.locks import slots
from maestro.resources.locks.base import Family, Resource, Who
from maestro.resources.locks.queue import Held, Pending, Turn, take_again
from maestro.resources.locks.status import status
from maestro.testing.processes import until

DOCKER = Resource("docker", limit_seconds=None)


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[bytes]]:
    """Two processes with a mark, in a session of their own."""
    mark = f"token/run/task/{uuid.uuid4().hex}"
    one = subprocess.Popen(
        ["sh", "-c", "sleep 600 & sleep 600; true"], env={**os.environ, MARKER: mark}, start_new_session=True
    )
    one.mark = mark  # type: ignore[attr-defined]
    until(lambda: len(members(mark)) == 3)
    yield one
    end_family(mark, MARKER, QUICK)
    one.wait()


def who_of(agent: subprocess.Popen[bytes], *, outlives: bool) -> Who:
    return Who(task="a", run="r1", family=Family(MARKER, agent.mark), outlives=outlives)  # type: ignore[attr-defined]


def take_and_die(folder: Path, who: Who) -> None:
    """A coordinator that is killed while it holds the slot."""
    assert who.family is not None
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from maestro.resources.locks.base import *; from maestro.resources.locks.queue import Turn, Held;"
        "held = Turn(Path(sys.argv[1]), Resource('docker', limit_seconds=None), Who(task='a', run='r1',"
        "family=Family(sys.argv[2], sys.argv[3]), outlives=sys.argv[4] == 'True'), {}).advance();"
        "assert isinstance(held, Held); os.kill(os.getpid(), signal.SIGKILL)"
    )
    argv = [sys.executable, "-c", script, str(folder), who.family.variable, who.family.value, str(who.outlives)]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL


def gets_it_when_woken(waiter: Turn, step: Pending) -> None:
    poll = select.poll()
    for fd in step.fds:
        poll.register(fd, select.POLLIN)
    assert poll.poll(20_000)
    held = waiter.advance()
    assert isinstance(held, Held)
    held.release()


def test_the_family_keeps_the_slot_until_it_has_ended(tmp_path: Path, agent: subprocess.Popen[bytes]) -> None:
    who = who_of(agent, outlives=True)
    take_and_die(tmp_path, who)
    assert [(one.task, one.is_gone) for one in status(tmp_path, DOCKER).holders] == [("a", True)]
    waiter = Turn(tmp_path, DOCKER, Who(), {})
    step = waiter.advance()
    assert isinstance(step, Pending)
    assert agent.poll() is None  # nobody has touched it
    assert end_family(agent.mark, MARKER, QUICK)  # type: ignore[attr-defined]
    gets_it_when_woken(waiter, step)


def test_a_family_of_which_the_oldest_ends_just_then_keeps_the_slot(
    tmp_path: Path, agent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_and_die(tmp_path, who_of(agent, outlives=True))
    found = members

    def oldest_has_ended(*told: str) -> list[ProcessId]:
        alive = found(*told)
        if agent.poll() is None:
            agent.kill()
            agent.wait()
        return alive

    monkeypatch.setattr(slots, "members", oldest_has_ended)
    waiter = Turn(tmp_path, DOCKER, Who(), {})
    assert isinstance(waiter.advance(), Pending)
    assert members(agent.mark)  # type: ignore[attr-defined]
    waiter.leave()


def test_a_resumed_run_has_it_again_at_once_before_all_who_wait(tmp_path: Path, agent: subprocess.Popen[bytes]) -> None:
    who = who_of(agent, outlives=True)
    take_and_die(tmp_path, who)
    token = status(tmp_path, DOCKER).holders[0].token
    waiter = Turn(tmp_path, DOCKER, Who(), {})
    assert isinstance(waiter.advance(), Pending)
    again = take_again(tmp_path, DOCKER, who)
    assert again is not None
    assert again.token == token
    assert [(one.pid, one.is_gone) for one in status(tmp_path, DOCKER).holders] == [(os.getpid(), False)]
    assert take_again(tmp_path, DOCKER, who) is None  # it is no dead one's any more
    step = waiter.advance()
    assert isinstance(step, Pending)
    again.release()
    gets_it_when_woken(waiter, step)


def test_a_gates_family_ends_with_its_coordinator(tmp_path: Path, agent: subprocess.Popen[bytes]) -> None:
    take_and_die(tmp_path, who_of(agent, outlives=False))
    held = Turn(tmp_path, DOCKER, Who(), {}).advance()
    assert isinstance(held, Held)
    assert members(agent.mark) == []  # type: ignore[attr-defined]
    held.release()
