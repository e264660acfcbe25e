"""Starts a child that outlives us if it must, and tells when it has ended. Linux only: pidfd.

A few lines of /bin/sh stand around the command: they survive the signals of the stop ladder and write the exit
status into a file, so that a later coordinator reads what this one did not live to see. The end is an event of
the kernel (a pidfd turns readable); asyncio's own way would cost a thread for each child on Python 3.11.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from maestro.errors import WorkspaceError
from maestro.proc.family import ProcessId, carries, command_line, members, start_time
from maestro.proc.posixspawn import FileActions, above, can_chdir
from maestro.proc.request import MARKER, Exit, ProcessRequest

# `exec` in a subshell runs files only, never a builtin of the shell, and gives 127 or 126 when it cannot.
# Nothing is assigned before the command: a variable of that name in the environment would be changed by it.
# A torn status file counts as none, so it is written in place.
_WRAPPER = 'trap : INT TERM HUP\n( exec "$@" )\ncode=$?\necho $code >{exit_file}\nexit $code'
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_STATUS = re.compile(rb"(\d{1,3})\n")


class Child:
    """A wrapper under way, started here or adopted. Belongs to the event loop it was made in."""

    def __init__(self, pid: int, pid_started: float, exit_file: Path, *, pidfd: int | None, ours: bool) -> None:
        self.pid = pid
        self.pid_started = pid_started
        self._exit_file = exit_file
        self._pidfd = pidfd
        self._ours = ours
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        if pidfd is None:
            self._ended.set_result(self._exit())
        else:
            self._loop.add_reader(pidfd, self._on_exit)

    async def wait(self) -> Exit:
        """Until the command has ended; may be awaited again and by several."""
        return await asyncio.shield(self._ended)

    def release(self) -> None:
        """Stop watching; the process goes on. For a coordinator that leaves before its children."""
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _on_exit(self) -> None:
        self.release()
        self._ended.set_result(self._exit())

    def _exit(self) -> Exit:
        """What is known of the end: the recorded status first, else what the kernel says of the wrapper."""
        status = self._reap() if self._ours else None
        code, died_by = _recorded(self._exit_file), None
        if code is None and status is not None:
            if os.WIFEXITED(status):  # the status could not be written: the disk is full
                code = os.WEXITSTATUS(status)
            else:
                died_by = os.WTERMSIG(status)
        return Exit(code=code, signal=died_by, seconds=max(0.0, self._ended_at() - self.pid_started))

    def _reap(self) -> int | None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # SIGCHLD is ignored in this process, so the kernel reaped it
            return None
        return status if pid else None

    def _ended_at(self) -> float:
        """Seconds since boot at which it ended; for one that ended before it was adopted, its file's time."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        if self._ours:
            return now
        with contextlib.suppress(OSError):
            now -= max(0.0, time.time() - self._exit_file.stat().st_mtime)
        return now


def spawn(request: ProcessRequest) -> Child:
    """Start the request's command in a session of its own. WorkspaceError when nothing could be started; a command
    that does not exist is an exit code (127, or 126 when it cannot be executed)."""
    if not request.env.get(MARKER):
        raise ValueError(f"{MARKER} must be in the child's environment")
    script = _WRAPPER.format(exit_file=shlex.quote(str(request.exit_file)))
    try:
        request.exit_file.unlink(missing_ok=True)  # the status of an earlier child would lie about this one
        pid = _start(["/bin/sh", "-c", script, "maestro", *request.argv], request)
    except (OSError, ValueError) as error:
        raise _not_started(request, error) from error
    try:
        return Child(pid, start_time(pid) or 0.0, request.exit_file, pidfd=os.pidfd_open(pid), ours=True)
    except OSError as error:  # no file descriptor left to watch it by
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise _not_started(request, error) from error


def _start(argv: list[str], request: ProcessRequest) -> int:
    """Its process id. It may outlive this process, and is reaped by its pidfd."""
    with contextlib.ExitStack() as opened:

        def open_(path: Path | str, flags: int) -> int:
            fd = above(2, os.open(path, flags, 0o600))  # a child may print what only the user should read
            opened.callback(os.close, fd)
            return fd

        stdin = open_(request.stdin_file or os.devnull, os.O_RDONLY)
        stdout, stderr = (open_(path, _APPENDING) for path in (request.stdout_file, request.stderr_file))
        if not can_chdir():
            popen = subprocess.Popen(
                argv,
                cwd=request.cwd,
                env=request.env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            popen.returncode = 0  # it must neither warn nor wait
            return popen.pid
        actions = FileActions()
        for there, fd in enumerate((stdin, stdout, stderr)):
            actions.dup2(fd, there)
        actions.close_above(2)
        actions.chdir(str(request.cwd))
        return actions.spawn(argv, request.env, new_session=True)


def adopt(pid: int, pid_started: float, *, marker: str, exit_file: Path) -> Child:
    """Watch a wrapper that an earlier coordinator started; one that is gone (or whose pid another process has by
    now) has ended, with the status in `exit_file` or code None."""
    pidfd: int | None = None
    if pid > 0:
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
    if pidfd is not None:
        started = start_time(pid)
        same = started is not None and abs(started - pid_started) < 0.005
        if not (same and carries(pid, marker)):
            os.close(pidfd)
            pidfd = None
    return Child(pid, pid_started, exit_file, pidfd=pidfd, ours=False)


def find_wrapper(marker: str, exit_file: Path) -> ProcessId | None:
    """The live wrapper with this marker that will write its status into `exit_file`; None where there is none."""
    written = shlex.quote(str(exit_file)).encode("utf-8", "surrogateescape")
    for one in members(marker):
        shell, _, rest = command_line(one.pid).partition(b"\0")
        # its own children carry the marker too, and for a moment its command line
        if shell == b"/bin/sh" and written in rest and os.getsid(one.pid) == one.pid:
            return one
    return None


def _recorded(exit_file: Path) -> int | None:
    try:
        match = _STATUS.fullmatch(exit_file.read_bytes())
    except OSError:
        return None
    return int(match[1]) if match else None


def _not_started(request: ProcessRequest, error: OSError | ValueError) -> WorkspaceError:
    hint = ""
    if wrong := _wrong_with(request.cwd):  # the C library does not tell which of its steps has failed
        what = wrong
    elif isinstance(error, OSError):
        what = (error.strerror or str(error)).lower() + (f": {error.filename}" if error.filename else "")
        if error.errno == errno.E2BIG:
            hint = "give long texts by a file or by standard input, not as an argument"
    else:
        what = str(error)
    return WorkspaceError(f"{request.argv[0] if request.argv else 'nothing'!r} could not be started: {what}", hint=hint)


def _wrong_with(cwd: Path) -> str:
    """Why nothing can begin there; empty where it can."""
    try:
        os.stat(f"{cwd}/.")  # noqa: PTH116 - a Path would take the dot away
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return f"{os.strerror(error.errno or 0).lower()}: {cwd}"
    except ValueError:  # no directory has such a name
        pass
    else:
        return ""
    return f"the directory {cwd} does not exist"
