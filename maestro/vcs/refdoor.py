"""Refs moved one after another through one `git update-ref --stdin`, instead of a process for each.

Each move is a transaction of its own, sent whole and answered `start: ok`, `prepare: ok`, `commit: ok`. git ends at the
first that it refuses. It says `prepare: ok` before it changes anything, so a process that ended without these words has
changed nothing, and the caller asks again by a process for this one move, whose answer counts. Between two
moves it holds no lock; where we die, it meets the end of its input and ends too.

git notes the time for the reflog once per process (`ident_default_date` in its ident.c). Therefore a process is used
only within the second of the clock in which it was started, which also keeps what it has read of the configuration
fresh. Rejected: `GIT_COMMITTER_DATE`, which is fixed per process as well.
"""

from __future__ import annotations

import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from maestro.errors import GitError
from maestro.vcs import spawned

COMMAND = ("update-ref", "-m", "maestro", "--stdin", "-z")

_PREPARED = b"start: ok\nprepare: ok\n"
_DONE = _PREPARED + b"commit: ok\n"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHARED = ("refs/heads/", "refs/maestro/")
"""Refs that are the same in all worktrees of a repository."""
_AT_ONCE = select.PIPE_BUF
"""So much is written whole or not at all, and never waits while the pipe is empty."""
_END_SECONDS = 10.0


class RefDoor:
    """Closed at first: then it moves nothing. Safe to be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start: Callable[[], _Process] | None = None
        self._process: _Process | None = None

    @contextmanager
    def opened(self, argv: list[str], env: Mapping[str, str], timeout_seconds: float) -> Iterator[None]:
        """While it lasts, moves go through a process of `argv`, which is started when the first is asked for; none is
        left at the end."""
        with self._lock:
            self._start = lambda: _Process(argv, env, timeout_seconds)
        try:
            yield
        finally:
            with self._lock:
                self._start = None
                self._end()

    def move(self, ref: str, new: str, expected: str | None, *, follows: bool) -> bool:
        """Compare-and-swap of a ref (`expected` None: must not exist yet). True: done. False: nothing was changed, for
        whatever reason. GitError where git failed at changing it, or nobody knows whether it has.

        `follows`: where the ref stands for another one, that one is moved.
        """
        order = _order(ref, new, expected, follows)
        if order is None:
            return False
        with self._lock:
            if (process := self._running()) is None:
                return False
            try:
                said = process.ask(order)
            except BaseException:
                process.kill()
                self._end()
                raise
            if said == _DONE:
                return True
            words, code = self._end()
        if len(said) < len(_PREPARED) and _PREPARED.startswith(said):
            return False
        last = words.splitlines()[-1] if words else f"exit code {code}"
        raise GitError(f"git update-ref failed: {last}", output=words, returncode=code)

    def _running(self) -> _Process | None:
        """A process of this second; None where the door is closed or none can be started."""
        if self._process is not None and self._process.second != _second():
            self._end()
        if self._process is None and self._start is not None:
            with suppress(OSError):  # the process for one move will say why
                self._process = self._start()
        return self._process

    def _end(self) -> tuple[str, int]:
        """Leave no process; what the last said on standard error, and its exit code."""
        process, self._process = self._process, None
        return ("", 0) if process is None else process.end()


class _Process:
    """One `git update-ref --stdin`, from its start to its end."""

    def __init__(self, argv: list[str], env: Mapping[str, str], timeout_seconds: float) -> None:
        self.second = _second()
        self._timeout_seconds = timeout_seconds
        with ExitStack() as opened:
            self._errors = spawned.memory()
            opened.callback(os.close, self._errors)
            source, self._orders = spawned.pipe()
            opened.callback(os.close, self._orders)
            try:
                self._pid, self._answers = spawned.start(argv, env, source, self._errors)
            finally:
                os.close(source)
            opened.pop_all()

    def ask(self, order: bytes) -> bytes:
        """All it answers to one transaction, less where it ends before; GitError where that takes too long."""
        deadline = time.monotonic() + self._timeout_seconds
        with suppress(BrokenPipeError):  # it has ended: what it said is read all the same
            os.write(self._orders, order)
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        said = b""
        while len(said) < len(_DONE):
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise GitError(f"git update-ref did not end within {self._timeout_seconds:g} s")
            chunk = os.read(self._answers, _AT_ONCE)
            if not chunk:
                break
            said += chunk
        return said

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def end(self) -> tuple[str, int]:
        """Give it the end of its input, and wait for its own; what it said on standard error, and its exit code."""
        os.close(self._orders)
        os.close(self._answers)
        try:
            code = spawned.end(self._pid, _END_SECONDS)
            return spawned.content(self._errors).decode("utf-8", "replace").strip(), code
        finally:
            os.close(self._errors)


def _second() -> int:
    return int(time.time())


def _order(ref: str, new: str, expected: str | None, follows: bool) -> bytes | None:
    """The transaction in git's words; None for what does not fit, could be taken for something else, or is a worktree's
    own."""
    ids = (new,) if expected is None else (new, expected)
    if not ref.startswith(_SHARED) or "\0" in ref or not all(map(_ID.fullmatch, ids)):
        return None
    option = "" if follows else "option no-deref\0"
    change = f"create {ref}\0{new}\0" if expected is None else f"update {ref}\0{new}\0{expected}\0"
    order = os.fsencode(f"start\0{option}{change}prepare\0commit\0")
    return order if len(order) <= _AT_ONCE else None
