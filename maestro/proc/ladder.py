"""The stop ladder INT → TERM → KILL over all processes of an attempt (A-4).

Every signal goes through a pidfd, sent only after the marker was found again in the environment of that very
process: nothing without the marker is ever signalled, whoever has got the pid in the meantime.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from maestro.proc.family import ProcessId, carries, command_line, identify, members

_RESCAN_SECONDS = 0.05
"""How soon newcomers are looked for while others take their time; one look costs about a millisecond."""


class Rung(StrEnum):
    """How far down the ladder it went."""

    NONE = "none"  # there was nothing to stop
    INTERRUPT = "interrupt"
    TERMINATE = "terminate"
    KILL = "kill"
    NOT_ENDED = "not_ended"  # some live on: the kernel itself holds them (a dead network disk)


class Graces(NamedTuple):
    """How long each rung waits for the family to end, in seconds."""

    interrupt_seconds: float = 5.0
    terminate_seconds: float = 5.0
    kill_seconds: float = 10.0


class Descent(NamedTuple):
    """What the ladder did."""

    ended_by: Rung
    stopped: int = 0  # processes that were signalled
    left: tuple[int, ...] = ()  # pids that live on


async def descend(
    marker: str, *, recorder: ProcessId | None = None, graces: Graces | None = None, first: Rung = Rung.INTERRUPT
) -> Descent:
    """Stop the whole family, newcomers included. `recorder` is the wrapper that writes the exit status: it
    ends by itself when its command is gone, and is killed only when it does not."""
    graces = graces or Graces()
    rungs = [
        (Rung.INTERRUPT, (signal.SIGINT, signal.SIGCONT), graces.interrupt_seconds),
        (Rung.TERMINATE, (signal.SIGTERM, signal.SIGCONT), graces.terminate_seconds),
        (Rung.KILL, (signal.SIGKILL,), graces.kill_seconds),
    ]
    rungs = rungs[[rung for rung, _, _ in rungs].index(first) :]
    stopped: set[ProcessId] = set()
    for rung, signals, seconds in rungs:
        if await _rung(marker, recorder, signals, seconds, stopped):
            return Descent(ended_by=rung if stopped else Rung.NONE, stopped=len(stopped))
    left = _alive(marker, recorder)
    for one in left:  # the recorder too: it has had its time
        _send(one, marker, (signal.SIGKILL,))
    await _ended(left, 1.0)
    left = _alive(marker, recorder)
    return Descent(
        ended_by=Rung.NOT_ENDED if left else Rung.KILL, stopped=len(stopped), left=tuple(one.pid for one in left)
    )


async def _rung(
    marker: str,
    recorder: ProcessId | None,
    signals: tuple[signal.Signals, ...],
    seconds: float,
    stopped: set[ProcessId],
) -> bool:
    """Signal each member once and wait; whether the whole family has ended within `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    signalled: set[ProcessId] = set()
    woken = False
    while alive := _alive(marker, recorder):
        for one in alive:
            if one in signalled:
                continue
            if one == recorder:  # it ends by itself once it is not stopped
                woken = woken or (signal.SIGCONT in signals and _send(one, marker, (signal.SIGCONT,)))
                continue
            if signal.SIGKILL not in signals and _is_still(recorder, one):
                continue  # forked, but not yet the command: it would take the signal for the shell's own and go on
            if _send(one, marker, signals):
                signalled.add(one)
        stopped |= signalled
        left = deadline - loop.time()
        if left <= 0:
            return False
        await _ended(alive, min(left, _RESCAN_SECONDS))
    return True


def _alive(marker: str, recorder: ProcessId | None) -> list[ProcessId]:
    """The family; never empty while the wrapper lives, whatever it is just about to become."""
    alive = members(marker)
    if not alive and recorder is not None and identify(recorder.pid) == recorder:
        return [recorder]
    return alive


def _send(one: ProcessId, marker: str, signals: tuple[signal.Signals, ...]) -> bool:
    """Whether the process was there and carries the marker, and has been sent the signals."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except OSError:  # gone
        return False
    try:
        if not carries(one.pid, marker):
            return False
        signal.pidfd_send_signal(pidfd, signals[0])
        with contextlib.suppress(ProcessLookupError):  # the first one may have ended it by now
            for number in signals[1:]:
                signal.pidfd_send_signal(pidfd, number)
    except OSError:  # gone, or it is no longer ours to signal
        return False
    finally:
        os.close(pidfd)
    return True


def _is_still(recorder: ProcessId | None, one: ProcessId) -> bool:
    """Whether the process is a fork of the wrapper that has not become the command yet."""
    return recorder is not None and command_line(recorder.pid) == command_line(one.pid) != b""


async def _ended(processes: Iterable[ProcessId], seconds: float) -> None:
    """Until all of them have ended, at most `seconds`."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    watched: set[int] = set()

    def gone(pidfd: int) -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        watched.discard(pidfd)
        if not watched:
            done.set()

    for one in processes:
        with contextlib.suppress(OSError):
            watched.add(pidfd := os.pidfd_open(one.pid))
            loop.add_reader(pidfd, gone, pidfd)
    if not watched:
        return
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), seconds)
    finally:
        for pidfd in list(watched):
            gone(pidfd)
