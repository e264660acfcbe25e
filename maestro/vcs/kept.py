"""One git that answers one question after another, instead of a process for each.

git notes the time once per process (`ident_default_date` in its ident.c), reads the configuration once, and may keep
what it has read of objects. Therefore a process is used only within the second of the clock in which it was started.
Rejected: `GIT_COMMITTER_DATE`, which is fixed per process as well.
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
from typing import ClassVar

from maestro.errors import GitError
from maestro.proc import spawned

AT_ONCE = select.PIPE_BUF
"""Bytes. So much is written whole or not at all, and never waits while the pipe is empty."""

FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""Of an object, by sha1 or sha256. Nothing else is asked about: it could be taken for something else."""

_CHUNK = 1 << 16
_END_SECONDS = 10.0


class Door:
    """Closed at first: then it answers nothing. Safe to be used by several threads, one question at a time."""

    command: ClassVar[tuple[str, ...]]
    """What git is called with."""
    has_file: ClassVar[bool] = False
    """Whether it is given a file, too: what is asked is about its content."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start: Callable[[], Process] | None = None
        self._process: Process | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may answer."""
        return self._start is not None

    @contextmanager
    def opened(self, argv: list[str], env: Mapping[str, str], timeout_seconds: float) -> Iterator[None]:
        """While it lasts, questions go to a process of `argv` and `command`, which is started when the first is asked;
        none is left at the end."""
        with self._lock:
            self._start = lambda: Process([*argv, *self.command], env, timeout_seconds, has_file=self.has_file)
        try:
            yield
        finally:
            with self._lock:
                self._start = None
                self._end()

    def _ask(
        self, question: bytes, is_whole: Callable[[bytearray], bool], *, file: bytes | None = None
    ) -> bytes | None:
        """All it answers, less where it ends before; None where nobody could be asked. Whoever calls has the lock.
        `file` is what its file holds. GitError where it takes too long, OSError where the file cannot be written;
        whatever is raised leaves no process."""
        if (process := self._running()) is None:
            return None
        try:
            if file is not None:
                process.fill(file)
            return process.ask(question, is_whole)
        except TimeoutError as error:
            process.kill()
            self._end()
            raise GitError(f"git {self.command[0]} did not end within {process.timeout_seconds:g} s") from error
        except BaseException:
            process.kill()
            self._end()
            raise

    def _running(self) -> Process | None:
        """A process of this second; None where the door is closed or none can be started."""
        if self._process is not None and self._process.second != _second():
            self._end()
        if self._process is None and self._start is not None:
            with suppress(OSError):  # the process for one question will say why
                self._process = self._start()
        return self._process

    def _end(self) -> tuple[str, int]:
        """Leave no process; what the last said on standard error, and its exit code."""
        process, self._process = self._process, None
        return ("", 0) if process is None else process.end()


class Process:
    """A git, from its start to its end."""

    def __init__(self, argv: list[str], env: Mapping[str, str], timeout_seconds: float, *, has_file: bool) -> None:
        self.second = _second()
        self.timeout_seconds = timeout_seconds
        with ExitStack() as opened:
            self._errors = spawned.memory()
            opened.callback(os.close, self._errors)
            self._file = spawned.memory() if has_file else None
            if self._file is not None:
                opened.callback(os.close, self._file)
            source, self._questions = spawned.pipe()
            opened.callback(os.close, self._questions)
            try:
                self._pid, self._answers = spawned.start(argv, env, source, self._errors, file=self._file)
            finally:
                os.close(source)
            opened.pop_all()

    def fill(self, content: bytes) -> None:
        """Let this be all that its file holds."""
        assert self._file is not None, "it was given one"
        os.ftruncate(self._file, 0)
        rest, at = memoryview(content), 0
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written

    def ask(self, question: bytes, is_whole: Callable[[bytearray], bool]) -> bytes:
        """All it answers, less where it ends before; TimeoutError where that takes too long."""
        deadline = time.monotonic() + self.timeout_seconds
        with suppress(BrokenPipeError):  # it has ended: what it said is read all the same
            os.write(self._questions, question)
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        said = bytearray()
        while not is_whole(said):
            if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
                raise TimeoutError
            chunk = os.read(self._answers, _CHUNK)
            if not chunk:
                break
            said += chunk
        return bytes(said)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def end(self) -> tuple[str, int]:
        """Give it the end of its input, and wait for its own; what it said on standard error, and its exit code."""
        os.close(self._questions)
        os.close(self._answers)
        try:
            code = spawned.end(self._pid, _END_SECONDS)
            return spawned.content(self._errors).decode("utf-8", "replace").strip(), code
        finally:
            for file in (self._errors, self._file):
                if file is not None:
                    os.close(file)


def _second() -> int:
    return int(time.time())
