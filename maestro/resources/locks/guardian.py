"""A process that outlives the holder of a lock by as long as it takes to end what works under it.

`maestro lock` may be killed with a signal that it cannot hear. So a fork of it stands aside, in a session of its own
and deaf to all signals but that one, and holds the slot too: the lock passes on when both have gone. It also ends what
is over its limit, since a holder that has been stopped cannot. Where both are killed at once, the kernel kills the
command (`PR_SET_PDEATHSIG`), and whoever is next in the queue ends the rest of the family before it goes on.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress

from maestro.proc.ending import GENTLE, QUICK, end_family, signal_process, wait_for
from maestro.proc.family import ProcessId, identify, read_proc
from maestro.resources.locks.base import Family
from maestro.resources.locks.queue import Held
from maestro.resources.locks.waiting import milliseconds_until

_ORDERLY = b"."
_FOLLOWS_SECONDS = 1.0
"""How soon a holder gives its lock back once what worked under it has ended."""


class Guardian:
    """The process, as its holder knows it."""

    def __init__(self, held: Held, ends_at: float | None) -> None:
        """Fork it. `ends_at`: the limit on the monotonic clock. The process that calls must have one thread only."""
        self.is_reaped = False
        holder = identify(os.getpid())
        theirs, self._ours = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _stand_aside({held.fd, theirs})
                _watch(theirs, held.family, ends_at, holder)
                held.release()  # where its holder has not: who is next need not look for what was left
            finally:
                os._exit(0)
        os.close(theirs)

    def dismiss(self) -> None:
        """All has ended in order; until the process has gone."""
        with suppress(BrokenPipeError):  # it was killed
            os.write(self._ours, _ORDERLY)
        os.close(self._ours)
        if not self.is_reaped:
            os.waitpid(self.pid, 0)

    def forget(self) -> None:
        """It was killed, and has been waited for."""
        os.close(self._ours)


def _stand_aside(kept: Collection[int]) -> None:
    """Nothing of it is seen: no terminal, no output held open, no folder kept from being unmounted."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        if int(name) > 2 and int(name) not in kept:
            with suppress(OSError):  # that of the list itself
                os.close(int(name))


def _watch(holder_pipe: int, family: Family, ends_at: float | None, holder: ProcessId | None) -> None:
    said = _hear(holder_pipe, None if ends_at is None else ends_at - time.monotonic())
    if said is None:
        end_family(family.value, family.variable, GENTLE)
        if holder is not None:
            _end_children(holder)
        for number in (None, signal.SIGCONT, signal.SIGKILL):
            if number is not None and holder is not None:
                signal_process(holder, number)
            if (said := _hear(holder_pipe, _FOLLOWS_SECONDS)) is not None:
                break
    if said != _ORDERLY:
        end_family(family.value, family.variable, QUICK)


def _end_children(holder: ProcessId) -> None:
    """End what has shed its mark, such as a command that `env -i` became: it is still a child of the holder."""
    for number, seconds in QUICK:
        deadline = time.monotonic() + seconds
        left = _children_of(holder)
        for one in left:
            signal_process(one, number)
            signal_process(one, signal.SIGCONT)
        wait_for(left, deadline - time.monotonic())


def _children_of(holder: ProcessId) -> list[ProcessId]:
    told = read_proc(f"/proc/{holder.pid}/task/{holder.pid}/children").split()
    return [one for pid in map(int, told) if pid != os.getpid() and (one := identify(pid))]


def _hear(pipe: int, seconds: float | None) -> bytes | None:
    """What the holder says; empty when it has died, None where it says nothing for so long."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    ends = None if seconds is None else time.monotonic() + seconds
    while not poll.poll(milliseconds_until(ends)):
        if ends is not None and time.monotonic() >= ends:
            return None
    return os.read(pipe, 1)
