"""How soon a named lock passes on; a section of `isolation.py`.

- released, and killed: `maestro lock` as it is called, each holder and waiter a process of its own. From the last act
  of the holder's command, or from the `kill -9` of its holder, to the first act of the next one's command.
- with many waiters: the queue alone, from a release until the next in line has it, with so many behind it. The cost
  must not depend on how many they are.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from arena import build_repository, clean_environment
from contenders import find_maestro
from latency import Spread, spread

from maestro.resources.locks.base import LockStatus, Resource, Who
from maestro.resources.locks.queue import Held, Pending, Turn
from maestro.resources.locks.status import status

HAND_OVER_GOAL_MS = 50.0
GROWTH_GOAL = 2.0
"""A hand-over with 1,000 waiters may take so many times as long as with 10."""

HAND_OVERS = 20
PATIENCE_SECONDS = 60.0
WAITERS = (10, 100, 1000)
TESTS = Resource("tests", limit_seconds=None)
FIRST_ACT = 'date +%s.%N >"$START"'


class Callers:
    """`maestro lock` in a repository, again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "project"
        self.env = {**clean_environment(folder / "home"), "MAESTRO_MACHINE_DIR": str(folder / "machine")}
        build_repository(self.repository, 1, self.env)

    @property
    def now(self) -> LockStatus:
        return status(self.repository / ".flow" / "maestro" / "locks" / "named", TESTS)

    def call(self, name: str, script: str, is_there: Callable[[int], bool]) -> subprocess.Popen[bytes]:
        """Start one, and wait until it holds or waits."""
        one = subprocess.Popen(
            [str(find_maestro()), "lock", "--quiet", "tests", "--", "sh", "-c", script],
            cwd=self.repository,
            env={**self.env, "START": str(self.folder / f"{name}.start"), "END": str(self.folder / f"{name}.end")},
            stdin=subprocess.DEVNULL,
        )
        wait_until(lambda: is_there(one.pid))
        return one

    def hold(self, name: str, script: str) -> subprocess.Popen[bytes]:
        """The first one, whose command is under way."""
        one = self.call(name, script, lambda pid: any(each.pid == pid for each in self.now.holders))
        wait_until(lambda: bool(self.moment(name, "start")))
        return one

    def queue(self, name: str, script: str) -> subprocess.Popen[bytes]:
        return self.call(name, script, lambda pid: any(each.pid == pid for each in self.now.queue))

    def moment(self, name: str, what: str) -> float:
        """Seconds since the epoch as a command wrote them; 0 where it has not yet."""
        try:
            return float((self.folder / f"{name}.{what}").read_text() or 0)
        except FileNotFoundError:
            return 0.0


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError("a lock was not passed on")
        time.sleep(0.005)


def released(callers: Callers) -> list[float]:
    """Seconds from the last act of a command to the first act of the next, all of them waiting since before."""
    gate = callers.folder / "gate"
    os.mkfifo(gate)
    names = [f"released-{number}" for number in range(HAND_OVERS + 1)]
    script = f'{FIRST_ACT}; date +%s.%N >"$END"'
    running = [callers.hold(names[0], f'{FIRST_ACT}; read _ <{gate}; date +%s.%N >"$END"')]
    running += [callers.queue(name, script) for name in names[1:]]
    gate.write_text("go\n")
    for one in running:
        one.wait(PATIENCE_SECONDS)
    return [callers.moment(after, "start") - callers.moment(before, "end") for before, after in pairwise(names)]


def killed(callers: Callers) -> list[float]:
    """Seconds from the `kill -9` of a holder to the first act of the next one's command."""
    taken = []
    script = f"{FIRST_ACT}; sleep 1000"
    holder = callers.hold("killed-0", script)
    for number in range(1, HAND_OVERS + 1):
        name = f"killed-{number}"
        following = callers.queue(name, script)
        killed_at = time.time()
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda name=name: bool(callers.moment(name, "start")))  # type: ignore[misc]
        taken.append(callers.moment(name, "start") - killed_at)
        holder.wait()
        holder = following
    os.kill(holder.pid, signal.SIGTERM)  # passed on to its command
    holder.wait()
    return taken


def with_waiters(folder: Path, count: int, hand_overs: int = 100) -> list[float]:
    """Seconds of hand-overs in a queue that stays `count` long."""
    held = have(Turn(folder, TESTS, Who(), {}))
    waiting = [Turn(folder, TESTS, Who(), {}) for _ in range(count)]
    steps = [one.advance() for one in waiting]
    taken = []
    for _ in range(hand_overs):
        head, step = waiting.pop(0), steps.pop(0)
        began = time.perf_counter()
        held.release()
        hear(step)
        held = have(head)
        taken.append(time.perf_counter() - began)
        steps[0] = waiting[0].advance()  # the new head looks at who holds it
        waiting.append(Turn(folder, TESTS, Who(), {}))
        steps.append(waiting[-1].advance())
    for one in waiting:
        one.leave()
    held.release()
    return taken


def have(turn: Turn) -> Held:
    step = turn.advance()
    if not isinstance(step, Held):
        raise TypeError("the lock was not passed on to who was next")
    return step


def hear(step: Held | Pending) -> None:
    """The kernel's word that it is worth a look."""
    poll = select.poll()
    for fd in step.fds if isinstance(step, Pending) else ():
        poll.register(fd, select.POLLIN)
    if not poll.poll(PATIENCE_SECONDS * 1000):
        raise RuntimeError("nobody was told that the lock is free")


def measure_locks(folder: Path) -> list[Spread]:
    """All figures."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    callers = Callers(folder)
    figures = [
        spread("lock: released to the next command's start", released(callers), HAND_OVER_GOAL_MS),
        spread("lock: kill -9 of its holder to the next command's start", killed(callers), HAND_OVER_GOAL_MS),
    ]
    few: float | None = None
    for count in WAITERS:
        seconds = with_waiters(folder / f"queue-{count}", count)
        goal = None if few is None else GROWTH_GOAL * few
        figures.append(spread(f"lock: a place in the queue, {count:,} waiting", seconds, goal))
        few = few or figures[-1].median_ms
    return figures
