"""The journal of a run: append-only JSON lines, the one truth that everything else is folded from.

Format, version 1
    line 1   {"journal": "maestro", "version": 1}
    line 2…  one event each (maestro.model.events), as compact JSON, ended by a newline

A record is whole when its newline is there and it parses. A tail that is torn (power loss, kill -9, full disk) is
cut at the last whole record when the journal is opened for writing, and reported. A bad record *before* a good
one is not a torn tail but damage, and is refused: cutting there would forget what happened afterwards.

Durability: one fdatasync per batch. Whoever records waits until its record is on disk; all that is recorded
meanwhile goes into the next batch, so ten agents cost one sync, not ten. Where the disk has been quicker than a thread
of late, each record is written at once, and nothing waits.

Rejected: SQLite (a torn WAL cannot be read with `tail`, and one writer needs no transactions); a checksum per line
(the newline and the parser catch what file systems do to an appended tail, and `jq` still reads the file);
a binary format (nobody can look into it at three in the morning).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from maestro.errors import StateError
from maestro.model.events import EVENT, Event
from maestro.model.record import Record

VERSION = 1
_HEADER = json.dumps({"journal": "maestro", "version": VERSION}).encode() + b"\n"

_QUICK_SECONDS = 0.0003
"""Writing and syncing a record through a thread costs the event loop about as much, however quick the disk is."""

_QUICK_IN_A_ROW = 4
"""After so many quick ones the next is taken for quick too; one that is not holds the event loop up once."""


class Recovered(Record):
    """What reading a journal gave: its events, where the last whole record ends, and how many bytes are torn."""

    events: tuple[Event, ...]
    good_bytes: int
    torn_bytes: int


def read_journal(path: Path) -> Recovered:
    """Read a journal; StateError where it is missing, damaged in the middle or of another version."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StateError(f"the journal {path} cannot be read: {error.strerror}") from error
    header_end = data.find(b"\n") + 1
    if header_end == 0:
        return Recovered(events=(), good_bytes=0, torn_bytes=len(data))
    _check_header(path, data[:header_end])
    events: list[Event] = []
    good = header_end
    for start, end in _lines(data, header_end):
        event = _parse(data[start:end])
        if event is None:
            break
        events.append(event)
        good = end
    if good < len(data) and any(_parse(data[start:end]) is not None for start, end in _lines(data, _next(data, good))):
        raise StateError(
            f"the journal {path} is damaged at byte {good}, before records that are whole",
            hint="move the run's folder away and start a new run; landed work is on the integration branch",
        )
    return Recovered(events=tuple(events), good_bytes=good, torn_bytes=len(data) - good)


def read_first(path: Path) -> Event | None:
    """The first event, without reading the rest; None where there is none yet. StateError as `read_journal`."""
    try:
        with path.open("rb") as file:
            header, line = file.readline(), file.readline()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"the journal {path} cannot be read: {error.strerror}") from error
    if not line.endswith(b"\n"):
        return None
    _check_header(path, header)
    return _parse(line)


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = json.loads(line)
        version = header["version"] if header.get("journal") == "maestro" else None
    except (ValueError, AttributeError, KeyError, TypeError):
        version = None
    if version is None:
        raise StateError(f"{path} is not a journal of maestro")
    if version != VERSION:
        raise StateError(
            f"the journal {path} is of version {version}, this maestro reads version {VERSION}",
            hint="use the maestro that wrote it, or start a new run",
        )


def _lines(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Byte ranges of whole lines from `start` on."""
    while (end := data.find(b"\n", start) + 1) > 0:
        yield start, end
        start = end


def _next(data: bytes, start: int) -> int:
    """Start of the line after the one that begins at `start`."""
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end + 1


def _parse(line: bytes) -> Event | None:
    try:
        return EVENT.validate_json(line)
    except ValidationError:
        return None


def _line(event: Event) -> bytes:
    """One record. Names of files need not be UTF-8: what JSON cannot hold of them is written as \\udcNN."""
    try:
        return event.model_dump_json().encode() + b"\n"
    except PydanticSerializationError:
        return json.dumps(_shown(event.model_dump(mode="json")), ensure_ascii=False).encode() + b"\n"


def _shown(value: Any) -> Any:
    """The same value with every text made fit for UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_shown(key): _shown(one) for key, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, list) else value


class Journal:
    """A journal open for writing by the one coordinator of its run."""

    def __init__(self, path: Path) -> None:
        """Open or make it; a torn tail is cut (`torn_bytes` says how much). StateError when that cannot be done."""
        self.path = path
        self.torn_bytes = 0
        self._queue: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._failure: StateError | None = None
        self._quick = 0  # writes in a row
        # a thread of its own: agents' workspaces being made keep those of the event loop busy for seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size:
                recovered = read_journal(path)
                self._size, self.torn_bytes = recovered.good_bytes, recovered.torn_bytes
            else:
                self._size = 0
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._fd, self._size)
            if self._size == 0:
                self._write(_HEADER)
        except OSError as error:
            raise StateError(f"the journal {path} cannot be written: {error.strerror}") from error

    async def record(self, *events: Event, durable: Callable[[], None] | None = None) -> None:
        """Append events; returns when they are on disk. StateError when the disk refuses: then none of them is kept,
        and none after them, since a journal with a gap could not be folded.

        `durable` is called once they are on disk, in the order of the journal, even where the caller was cancelled.
        """
        payload = b"".join(_line(event) for event in events)
        is_idle = self._flusher is None or self._flusher.done()
        if is_idle and self._quick >= _QUICK_IN_A_ROW and self._failure is None:
            try:
                self._write_timed(payload)
            except OSError as error:
                self._failure = self._refused(error)
                raise self._failure from error
            if durable is not None:
                durable()
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if durable is not None:
            future.add_done_callback(lambda done: None if done.exception() else durable())
        self._queue.append((payload, future))
        if is_idle:
            self._flusher = asyncio.create_task(self._flush(), name="journal")
        await asyncio.shield(future)

    async def _flush(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            if self._failure is None:
                whole = b"".join(payload for payload, _ in batch)
                try:
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._write_timed, whole)
                except OSError as error:
                    self._failure = self._refused(error)
            for _, future in batch:
                if self._failure is None:
                    future.set_result(None)
                else:
                    future.set_exception(self._failure)
            await asyncio.sleep(0)  # whoever records next writes at once: not before `durable` was called for these

    def _refused(self, error: OSError) -> StateError:
        return StateError(
            f"the journal {self.path} cannot be written: {error.strerror}",
            hint="free some space; nothing is started that is not written down first",
        )

    def _write_timed(self, payload: bytes) -> None:
        began = time.perf_counter()
        self._write(payload)
        self._quick = self._quick + 1 if time.perf_counter() - began < _QUICK_SECONDS else 0

    def _write(self, payload: bytes) -> None:
        """Write at the known end and sync; a half-written batch is cut off again, so that no reader meets it."""
        try:
            written = 0
            while written < len(payload):
                written += os.pwrite(self._fd, payload[written:], self._size + written)
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(payload)

    async def close(self) -> None:
        """Wait for what is under way, then close; what is recorded later is refused."""
        if self._flusher is not None:
            await self._flusher
        self._failure = self._failure or StateError(f"the journal {self.path} is closed")
        self._thread.shutdown()
        os.close(self._fd)
