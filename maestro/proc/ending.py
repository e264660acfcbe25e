"""Ends the processes of a family from a program that has no event loop, and waits until they have ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Sequence

from maestro.proc.family import ProcessId, carries, identify, members

Rung = tuple[signal.Signals, float]
"""A signal, and how long the family gets to end after it."""

GENTLE: tuple[Rung, ...] = ((signal.SIGINT, 2.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 10.0))
QUICK: tuple[Rung, ...] = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 10.0))

_RESCAN_SECONDS = 0.05


def end_family(value: str, variable: str, rungs: Sequence[Rung]) -> bool:
    """Signal every process that carries `variable`=`value`, newcomers too, rung by rung. Blocks; whether all ended.

    A stopped process is continued after the signal, so that it can follow it.
    """
    for number, seconds in rungs:
        deadline = time.monotonic() + seconds
        signalled: set[ProcessId] = set()
        while alive := members(value, variable):
            for one in alive:
                if one not in signalled and _send(one, value, variable, number):
                    signalled.add(one)
            left = deadline - time.monotonic()
            if left <= 0:
                break
            wait_for(alive, min(left, _RESCAN_SECONDS))
        else:
            return True
    return False


def signal_process(one: ProcessId, number: signal.Signals) -> bool:
    """Signal that very process; False where it is gone or not ours."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        if identify(one.pid) != one:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def wait_for(processes: Iterable[ProcessId], seconds: float) -> None:
    """Until all of them have ended, at most `seconds`."""
    poll = select.poll()
    pidfds = []
    for one in processes:
        try:
            pidfds.append(os.pidfd_open(one.pid))
        except OSError:
            continue
        poll.register(pidfds[-1], select.POLLIN)
    deadline = time.monotonic() + seconds
    left = set(pidfds)
    try:
        while left and (milliseconds := (deadline - time.monotonic()) * 1000) > 0:
            for pidfd, _ in poll.poll(milliseconds):
                poll.unregister(pidfd)
                left.discard(pidfd)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _send(one: ProcessId, value: str, variable: str, number: signal.Signals) -> bool:
    """The signal goes through a pidfd, after the mark was found in that very process."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        if not carries(one.pid, value, variable):
            return False
        signal.pidfd_send_signal(pidfd, number)
        if number != signal.SIGKILL:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True
