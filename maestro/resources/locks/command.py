"""Runs a command under a lock: it dies with the lock, and the lock is given back when nothing of it is left."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from maestro.proc.ending import QUICK, end_family
from maestro.resources.locks.guardian import Guardian
from maestro.resources.locks.queue import Held

TIMED_OUT = 124
NOT_EXECUTABLE = 126
NOT_FOUND = 127

_PASSED_ON = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM}
)
_FROM_KERNEL = 128  # SI_KERNEL: the terminal, which sends its signals to the command as well
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_prctl = ctypes.CDLL(None).prctl


@dataclass(frozen=True)
class Ended:
    """How the command ended. `code` as a shell says it: 128+n for a signal, 127 not found, 126 not executable; 124
    where it was over its limit."""

    code: int
    seconds: float
    is_over_limit: bool = False
    why: str = ""  # it could not be started


def run_under(held: Held, argv: Sequence[str], environ: Mapping[str, str]) -> Ended:
    """Run it in the foreground, pass signals on to it, and release the lock when its whole family has ended.

    Blocks; for a process with one thread, whose children are all ours.
    """
    limit = held.resource.limit_seconds
    started = time.monotonic()
    ends_at = None if limit is None else started + limit
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how the command ended
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        guardian = Guardian(held, ends_at)
        held.name_keepers((os.getpid(), guardian.pid))
        try:
            pid = _start(argv, {**environ, **held.variables}, before)
        except OSError as error:
            ended = _not_started(argv[0], error)
        else:
            status, guardian = _wait_for(pid, held, guardian, ends_at)
            seconds = time.monotonic() - started
            is_over = limit is not None and seconds >= limit
            ended = Ended(TIMED_OUT if is_over else status, seconds, is_over)
        _end_rest(held, guardian)
        held.release()
        guardian.dismiss()
        return ended
    finally:
        signal.signal(signal.SIGCHLD, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(argv: Sequence[str], environ: Mapping[str, str], mask: set[signal.Signals] | set[int]) -> int:
    """The pid of the command, in our process group: the terminal is its own. OSError where it cannot be executed."""
    ours = os.getpid()
    told, tells = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != ours:  # it died before we would have been told
                os._exit(1)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                signal.signal(number, signal.SIG_DFL)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _execute(argv, environ)
        except OSError as error:
            os.write(tells, str(error.errno).encode())
        finally:
            os._exit(NOT_FOUND)
    os.close(tells)
    try:
        said = os.read(told, 16)
    finally:
        os.close(told)
    if said:
        os.waitpid(pid, 0)
        raise OSError(int(said), os.strerror(int(said)))
    return pid


def _execute(argv: Sequence[str], environ: Mapping[str, str]) -> None:
    """As a shell does it: found by PATH, and by `sh` where a script does not say what runs it."""
    try:
        os.execvpe(argv[0], list(argv), environ)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        from shutil import which

        os.execve("/bin/sh", ["sh", which(argv[0], path=environ.get("PATH")) or argv[0], *argv[1:]], environ)


def _wait_for(pid: int, held: Held, guardian: Guardian, ends_at: float | None) -> tuple[int, Guardian]:
    """The exit code of the command, and the guardian, which is replaced where somebody killed it."""
    while True:
        heard = signal.sigwaitinfo({*_PASSED_ON, signal.SIGCHLD})
        if heard.si_signo != signal.SIGCHLD:
            if heard.si_code != _FROM_KERNEL:
                with suppress(ProcessLookupError):
                    os.kill(pid, heard.si_signo)
            continue
        while (reaped := _reap()) is not None:
            if reaped[0] == pid:
                return _as_shell(reaped[1]), guardian
            if reaped[0] == guardian.pid:
                guardian.forget()
                guardian = Guardian(held, ends_at)
                held.name_keepers((os.getpid(), guardian.pid))


def _reap() -> tuple[int, int] | None:
    """A child that has ended: the command, the guardian, or one whose own parent has ended before it."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _end_rest(held: Held, guardian: Guardian) -> None:
    """End what the command has left running. All of it is our own child by now, whatever it did to get away, unless
    somebody below it collects orphans too: then it is that one's."""
    if _children(guardian) == []:
        return
    end_family(held.family.value, held.family.variable, QUICK)
    for number, seconds in QUICK:  # those that have no mark any more, such as what `env -i` started
        deadline = time.monotonic() + seconds
        signalled: set[int] = set()
        while (left := _children(guardian)) and time.monotonic() < deadline:
            for pid in left:
                if pid not in signalled:
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)
                    signalled.add(pid)
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)


def _children(guardian: Guardian) -> list[int] | None:
    """Living children; None where this kernel does not tell. They stay ours until they are waited for, so that none
    of these numbers can name anybody else."""
    while (reaped := _reap()) is not None:
        if reaped[0] == guardian.pid:
            guardian.is_reaped = True
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [pid for pid in map(int, file.read().split()) if pid != guardian.pid]
    except OSError:
        return None


def _as_shell(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _not_started(name: str, error: OSError) -> Ended:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Ended(NOT_FOUND, 0.0, why=f"the command {name} was not found")
    return Ended(NOT_EXECUTABLE, 0.0, why=f"the command {name} cannot be executed: {(error.strerror or '').lower()}")
