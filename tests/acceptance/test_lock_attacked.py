"""`maestro lock` whose holders and waiters are killed or stopped: what worked under it ends, and it passes on (I-7)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.lock_lab import LockLab, alive, ended, guardian_of, lock_lab


@pytest.fixture
def lab(repo: Repository, tmp_path: Path) -> Iterator[LockLab]:
    with lock_lab(repo.path, tmp_path / "lab") as lab:
        yield lab


def busy(lab: LockLab, *args: str, is_stubborn: bool = True) -> subprocess.Popen[str]:
    """A holder of which the command has a daemon that has left, a child, and itself; stubborn ones hear no signal."""
    work = lab.work
    deaf = "trap '' INT TERM HUP; " if is_stubborn else ""
    holder = lab.start(*args, script=f"{deaf}setsid {work} & {work} & {work}; {work}")
    until(lambda: len(alive(work)) == 3)
    return holder


def kill_holder(holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)


def kill_guardian_and_holder(holder: subprocess.Popen[str]) -> None:
    """The guardian first: its holder has no time to get another one."""
    guardian = guardian_of(holder)
    os.kill(holder.pid, signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    os.kill(holder.pid, signal.SIGKILL)


def kill_its_group(holder: subprocess.Popen[str]) -> None:
    os.killpg(holder.pid, signal.SIGKILL)


@pytest.mark.parametrize("attack", [kill_holder, kill_guardian_and_holder, kill_its_group])
def test_a_dead_holders_whole_family_ends_before_the_lock_passes_on(
    lab: LockLab, attack: Callable[[subprocess.Popen[str]], None]
) -> None:
    holder = busy(lab)
    waiters = [lab.queue(script=lab.look), lab.queue(script="echo last >>$LOG")]
    attack(holder)
    assert [ended(one) for one in waiters] == [0, 0]
    assert lab.lines() == ["next", "last"]
    assert ended(holder) == -signal.SIGKILL


def test_a_dead_holders_family_ends_also_where_nobody_waits(lab: LockLab) -> None:
    kill_holder(busy(lab))
    until(lambda: not alive(lab.work))
    until(lambda: not lab.now.holders)


def test_what_nobody_has_ended_is_still_shown_as_holding_it(lab: LockLab) -> None:
    holder = busy(lab)
    kill_guardian_and_holder(holder)
    assert ended(holder) == -signal.SIGKILL
    until(lambda: [(one.pid, one.is_gone) for one in lab.now.holders] == [(holder.pid, True)])
    assert lab.run("--", "sh", "-c", lab.look, env={"LOG": str(lab.log)}).code == 0
    assert lab.lines() == ["next"]


def test_a_killed_guardian_is_replaced(lab: LockLab) -> None:
    holder = busy(lab)
    first = guardian_of(holder)
    os.kill(first, signal.SIGKILL)
    until(lambda: guardian_of(holder) not in (0, first))
    kill_holder(holder)
    until(lambda: not alive(lab.work))


def test_a_stopped_holder_is_ended_at_its_limit(lab: LockLab) -> None:
    holder = busy(lab, "--limit", "8")
    os.kill(holder.pid, signal.SIGSTOP)
    waiter = lab.queue(script=lab.look)
    assert ended(waiter) == 0
    assert lab.lines() == ["next"]
    assert ended(holder) == 124  # it was continued, and says how it ended


def test_one_of_which_every_process_is_stopped_is_ended_by_who_waits(lab: LockLab) -> None:
    holder = busy(lab, "--limit", "8", is_stubborn=False)
    for pid in (holder.pid, guardian_of(holder), *map(int, alive(lab.work))):
        os.kill(pid, signal.SIGSTOP)
    waiter = lab.queue(script=lab.look)
    assert ended(waiter) == 0
    assert lab.lines() == ["next"]
    assert not alive(lab.work)


def test_dead_waiters_never_block_the_queue(lab: LockLab) -> None:
    holder, gate = lab.hold()
    waiters = [lab.queue(script=f"echo {number} >>$LOG") for number in range(5)]
    for number in (0, 2, 3):
        waiters[number].kill()
        waiters[number].wait()
    until(lambda: len(lab.now.queue) == 2)
    late = lab.queue(script="echo late >>$LOG")
    gate.let_through()
    assert [ended(one) for one in (holder, waiters[1], waiters[4], late)] == [0] * 4
    assert lab.lines() == ["1", "4", "late"]


def test_holders_that_die_one_after_the_other(lab: LockLab) -> None:
    holders = [lab.start(script=f"echo 0 >>$LOG; {lab.work}")]
    until(lambda: bool(lab.now.holders))
    holders += [lab.queue(script=f"echo {number} >>$LOG; {lab.work}") for number in range(1, 3)]
    for number, one in enumerate(holders):
        until(lambda one=one: [holder.pid for holder in lab.now.holders] == [one.pid])  # type: ignore[misc]
        until(lambda number=number: len(lab.lines()) == number + 1)  # type: ignore[misc]
        one.kill()
        one.wait()
    assert lab.lines() == ["0", "1", "2"]


def test_with_two_slots_one_dead_holder_frees_one(repo: Repository, tmp_path: Path) -> None:
    (repo.path / ".flow" / "maestro").mkdir(parents=True)
    (repo.path / ".flow" / "maestro" / "config.toml").write_text("[resources]\ngpu = 2\n")
    with lock_lab(repo.path, tmp_path / "lab", "gpu", 2) as lab:
        one, _ = lab.hold()
        two, gate = lab.hold()
        waiter = lab.queue(script="echo $MAESTRO_FENCING_TOKEN >>$LOG")
        behind = lab.queue(script="echo $MAESTRO_FENCING_TOKEN >>$LOG")
        assert len(lab.now.holders) == 2
        one.kill()
        assert (ended(waiter), ended(behind)) == (0, 0)
        assert [holder.pid for holder in lab.now.holders] == [two.pid]
        gate.let_through()
        assert ended(two) == 0
        tokens = [int(line) for line in lab.lines()]
        assert tokens == sorted(set(tokens))
