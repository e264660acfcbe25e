"""The three clocks over a running attempt (A-4): no event, events but no end, an end but no exit."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from maestro.agents.base import Reader
from maestro.executors.base import Running
from maestro.model.outcome import Clock3
from maestro.model.redaction import Redactor
from maestro.proc.request import Exit

TICK_SECONDS = 1.0
"""How often the output of an agent that streams is read while it works."""

_CHUNK = 1 << 18

_ASKED_BEFORE = 4  # so often, at equal times, whether silence is excused


class Clocks(NamedTuple):
    """Limits in seconds; None switches a clock off."""

    silent_seconds: float | None
    total_seconds: float | None
    exit_seconds: float | None


class Exited(NamedTuple):
    """The process ended by itself."""

    exit: Exit


class RanOut(NamedTuple):
    """A clock ran out."""

    clock: Clock3
    limit_seconds: float


@dataclass(frozen=True)
class StopAsked:
    """The run wants it stopped."""


class Tail:
    """Reads what a growing file has gained."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = os.fspath(path)
        self._offset = 0

    def read(self, take: Callable[[bytes], None]) -> bool:
        """Hand over all that is new, in chunks; whether there was anything."""
        grown = False
        with suppress(OSError):
            if os.stat(self._name).st_size == self._offset:  # noqa: PTH116 - asked every second for every agent
                return False
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while chunk := file.read(_CHUNK):
                    self._offset += len(chunk)
                    grown = True
                    take(chunk)
        return grown

    def idle_seconds(self) -> float | None:
        """Since the last byte was written, by the clock of the file system; None where there is no file."""
        with suppress(OSError):
            return max(time.time() - self._path.stat().st_mtime, 0.0)
        return None


class Watch:
    """One running attempt under its clocks."""

    def __init__(
        self,
        running: Running,
        reader: Reader | None,
        stdout: Path,
        clocks: Clocks,
        monotonic: Callable[[], float],
        note: Callable[[str], None],
        is_excused: Callable[[], bool] = lambda: False,
    ) -> None:
        """`reader` None: the agent does not stream, its output means nothing until it ends. `is_excused`: whether it
        has a reason to be silent now; asked some times before its time is up, and may block for a moment."""
        self._running = running
        self._reader = reader
        self._tail = Tail(stdout)
        self._clocks = clocks
        self._monotonic = monotonic
        self._note = note
        self._is_excused = is_excused
        self._asked = 0.0  # when it was asked last
        self._elapsed = 0.0  # seconds that it ran before it was watched
        self._idle = 0.0  # of these, since its last output
        self._started = self._heard = 0.0
        self._ended: float | None = None  # when its output said that it had
        self._timer: asyncio.TimerHandle | None = None

    def take_up(self, elapsed_seconds: float) -> None:
        """It was started that long ago by an earlier coordinator: its clocks go on, and what its output said until
        now is not noted again."""
        self._elapsed = max(elapsed_seconds, 0.0)
        self._idle = min(self._tail.idle_seconds() or self._elapsed, self._elapsed)
        note, self._note = self._note, lambda _: None
        self._read()
        self._note = note

    async def until_end(self, stop: asyncio.Event) -> Exited | RanOut | StopAsked:
        """Wait for the exit, a clock or a wish to stop, whichever comes first. Stops nothing itself."""
        exited = asyncio.create_task(self._running.wait())
        stopping = asyncio.create_task(stop.wait())
        ran_out: asyncio.Future[RanOut] = asyncio.get_running_loop().create_future()
        self._started = self._monotonic() - self._elapsed
        self._heard = self._monotonic() - self._idle
        waiting: set[asyncio.Future[Any]] = {exited, stopping, ran_out}
        try:
            self._wake_later(ran_out)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self._read()
            if exited.done():
                return Exited(exited.result())
            return StopAsked() if stopping.done() else ran_out.result()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for one in waiting:
                one.cancel()

    def read_rest(self) -> None:
        """After the end: whatever was still unread."""
        self._read()

    def _wake_later(self, ran_out: asyncio.Future[RanOut]) -> None:
        """Plain calls at whole ticks: one waking of the loop serves all attempts, so fifty cost next to nothing."""
        loop = asyncio.get_running_loop()
        if self._reader is not None:
            when = (loop.time() // TICK_SECONDS + 1) * TICK_SECONDS
        elif self._clocks.total_seconds is not None:
            left = self._started + self._clocks.total_seconds - self._monotonic()
            when = loop.time() + max(left, 0.0) + 0.01
        else:
            return
        self._timer = loop.call_at(when, self._tick, ran_out)

    def _tick(self, ran_out: asyncio.Future[RanOut]) -> None:
        if ran_out.done():
            return
        try:
            now = self._monotonic()
            if self._read():
                self._heard, self._ended = now, None
            if self._reader is not None and self._reader.ended and self._ended is None:
                self._ended = now
            self._excuse(now)
            if (out := self._ran_out(now)) is not None:
                ran_out.set_result(out)
            else:
                self._wake_later(ran_out)
        except Exception as error:  # a bug of a reader is for whoever awaits the end
            ran_out.set_exception(error)

    def _excuse(self, now: float) -> None:
        """Silence that has a reason counts for nothing, or at most for the time between two such questions."""
        limit = self._clocks.silent_seconds
        if self._reader is None or self._ended is not None or limit is None:
            return
        if now - max(self._heard, self._asked) >= limit / _ASKED_BEFORE:
            self._asked = now
            if self._is_excused():
                self._heard = now

    def _read(self) -> bool:
        if self._reader is None:
            return False

        def take(chunk: bytes, reader: Reader = self._reader) -> None:
            for note in reader.feed(chunk):
                self._note(note)

        return self._tail.read(take)

    def _ran_out(self, now: float) -> RanOut | None:
        limits, ended = self._clocks, self._ended
        if ended is not None and limits.exit_seconds is not None and now - ended >= limits.exit_seconds:
            return RanOut(Clock3.NO_EXIT, limits.exit_seconds)
        if (
            self._reader is not None
            and ended is None
            and limits.silent_seconds is not None
            and now - self._heard >= limits.silent_seconds
        ):
            return RanOut(Clock3.SILENT, limits.silent_seconds)
        if limits.total_seconds is not None and now - self._started >= limits.total_seconds:
            return RanOut(Clock3.NO_END, limits.total_seconds)
        return None


def tail_of(path: Path, limit_bytes: int = 4096, redactor: Redactor | None = None) -> str:
    """The last whole lines of a file, at most `limit_bytes`; empty when it is not there. Secrets that the redactor
    knows are masked, also one through which the cut goes."""
    before = 0 if redactor is None else max(limit_bytes, redactor.longest)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - limit_bytes - before, 0))
            data = file.read()
    except OSError:
        return ""
    if not data:
        return ""
    if redactor is not None:
        data = redactor.mask_bytes(data)
    if size > limit_bytes:
        data = data[-limit_bytes:]
        data = data.partition(b"\n")[2] or data
    return data.decode("utf-8", "replace").strip()
