"""The journal: durable, healed at its tail, refused where it is damaged in the middle."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from maestro.errors import StateError
from maestro.model.events import Event, Warned
from maestro.model.folding import fold
from maestro.model.recovery import leftover
from maestro.model.states import ACTIVE
from maestro.store import journal as journal_module
from maestro.store.journal import Journal, read_journal
from maestro.testing.story import STORY

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True, params=["slow", "quick"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the disk seems to be, to all journals of a test."""
    kind = str(request.param)
    if kind != "as ever":
        monkeypatch.setattr(journal_module, "_QUICK_SECONDS", 60 if kind == "quick" else -1)
        monkeypatch.setattr(journal_module, "_QUICK_IN_A_ROW", 1)
    return kind


def event(text: str) -> Event:
    return Warned(at=NOW, message=text)


def write(path: Path, *texts: str) -> None:
    async def go() -> None:
        journal = Journal(path)
        for text in texts:
            await journal.record(event(text))
        await journal.close()

    asyncio.run(go())


def messages(path: Path) -> list[str]:
    return [one.message for one in read_journal(path).events if isinstance(one, Warned)]


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    write(path, "a", "b\nwith a newline", "c ü \x00")
    assert messages(path) == ["a", "b\nwith a newline", "c ü \x00"]
    assert json.loads(path.read_text().splitlines()[0]) == {"journal": "maestro", "version": 1}


def test_journal_cut_at_every_byte_gives_only_whole_records_and_takes_new_ones(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    write(whole, "first", "second", "third")
    data = whole.read_bytes()
    for length in range(len(data) + 1):
        path = tmp_path / "cut.jsonl"
        path.write_bytes(data[:length])
        found = messages(path)
        assert found == ["first", "second", "third"][: len(found)]
        assert len(found) == max(data[:length].count(b"\n") - 1, 0)
        write(path, "after")
        assert messages(path) == [*found, "after"]


def test_journal_cut_at_every_byte_can_be_gone_on_with(tmp_path: Path) -> None:
    """Of a run with all that can happen in it: what is left folds, and says of each task at work how it stands."""
    whole, path = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"

    async def tell() -> None:
        journal = Journal(whole)
        await journal.record(*STORY)
        await journal.close()

    asyncio.run(tell())
    data = whole.read_bytes()
    seen = -1
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        recovered = read_journal(path)
        assert recovered.events == STORY[: len(recovered.events)]
        assert recovered.good_bytes + recovered.torn_bytes == length
        if len(recovered.events) in (seen, 0):
            continue  # no more than at the byte before
        seen = len(recovered.events)
        run, open_ = fold(recovered.events), leftover(recovered.events)
        at_work = {task.id for task in run.tasks.values() if task.state in ACTIVE}
        assert at_work == {one.task for one in (*open_.open_attempts, *open_.unanswered)}
    assert seen == len(STORY)


def test_a_torn_tail_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a")
    with path.open("ab") as file:
        file.write(b'{"type":"warned","mess')
    assert read_journal(path).torn_bytes == 22

    async def reopen() -> int:
        journal = Journal(path)
        await journal.close()
        return journal.torn_bytes

    assert asyncio.run(reopen()) == 22
    assert read_journal(path).torn_bytes == 0


def test_blocks_of_zeros_after_power_loss_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a")
    with path.open("ab") as file:
        file.write(b"\0" * 300)
    assert messages(path) == ["a"]


def test_damage_before_whole_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, "a", "b", "c")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + b"garbage\n" + lines[3])
    with pytest.raises(StateError, match="damaged at byte"):
        read_journal(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b'{"journal":"maestro","version":2}\n', "is of version 2"),
        (b'{"hello":1}\n', "not a journal"),
        (b"\xff\xfe\n", "not a journal"),
    ],
)
def test_other_versions_and_other_files_are_refused(tmp_path: Path, header: bytes, words: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(header)
    with pytest.raises(StateError, match=words):
        read_journal(path)


def test_many_recorders_share_their_syncs_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    async def go() -> None:
        journal = Journal(path)
        await asyncio.gather(*(journal.record(event(str(n))) for n in range(200)))
        await journal.close()

    asyncio.run(go())
    assert messages(path) == [str(n) for n in range(200)]


def test_a_full_disk_refuses_the_record_and_keeps_what_was_there(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.decode().strip()}")
    try:
        path = mount / "journal.jsonl"

        async def go() -> None:
            journal = Journal(path)
            await journal.record(event("before"))
            filler = mount / "filler"
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(b"x" * (1 << 20))
            with pytest.raises(StateError, match="cannot be written"):
                await journal.record(event("y" * 100_000))
            filler.unlink()
            await journal.close()

        asyncio.run(go())
        write(path, "after")
        assert messages(path) == ["before", "after"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_records_do_not_wait_for_the_threads_of_the_event_loop(tmp_path: Path) -> None:
    async def go() -> None:
        journal, free = Journal(tmp_path / "journal.jsonl"), threading.Event()
        busy = [asyncio.create_task(asyncio.to_thread(free.wait, 10)) for _ in range(64)]
        try:
            await asyncio.wait_for(journal.record(event("a")), 5)
        finally:
            free.set()
            await asyncio.gather(*busy)
            await journal.close()

    asyncio.run(go())
    assert messages(tmp_path / "journal.jsonl") == ["a"]


def test_what_became_durable_is_told_in_order_even_where_nobody_waits_any_more(tmp_path: Path) -> None:
    told: list[int] = []

    async def go() -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        tasks = [
            asyncio.create_task(journal.record(event(str(number)), durable=lambda number=number: told.append(number)))
            for number in range(9)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()

    asyncio.run(go())
    assert told == list(range(9))
    assert messages(tmp_path / "journal.jsonl") == [str(number) for number in range(9)]


def test_nothing_is_recorded_after_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def go() -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        await journal.record(event("before"))
        with monkeypatch.context() as full:
            full.setattr(os, "fdatasync", refuse)
            with pytest.raises(StateError, match="No space left"):
                await journal.record(event("lost"), durable=lambda: told.append("lost"))
        with pytest.raises(StateError, match="No space left"):
            await journal.record(event("after"), durable=lambda: told.append("after"))
        await journal.close()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    asyncio.run(go())
    assert told == []
    assert messages(tmp_path / "journal.jsonl") == ["before"]


def test_what_is_recorded_just_as_a_write_ends_is_told_after_it(tmp_path: Path) -> None:
    """That one is on disk, but nobody has been told of it yet."""
    told: list[str] = []

    async def go() -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        first = asyncio.create_task(journal.record(event("a"), durable=lambda: told.append("a")))
        while journal._flusher is None or not journal._flusher.done():
            await asyncio.sleep(0)
        await journal.record(event("b"), durable=lambda: told.append("b"))
        await first
        await journal.close()

    asyncio.run(go())
    assert told == messages(tmp_path / "journal.jsonl") == ["a", "b"]


def test_what_is_recorded_too_late_is_refused(tmp_path: Path) -> None:
    """And not written into a file that was opened meanwhile, and has the number of the journal."""
    told: list[str] = []

    async def go() -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        await journal.record(event("a"))
        await journal.close()
        with pytest.raises(StateError, match="is closed"):
            await journal.record(event("late"), durable=lambda: told.append("late"))

    asyncio.run(go())
    assert told == []
    assert messages(tmp_path / "journal.jsonl") == ["a"]


@pytest.mark.parametrize("disk", ["as ever"], indirect=True)
def test_a_disk_is_quick_after_some_quick_writes_and_slow_after_one_slow_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes: the event loop where that is quicker than a thread."""
    seconds, at_once, is_end = [0.0], [], itertools.cycle([False, True])
    real = Journal._write

    def clock() -> float:
        return seconds[0] if next(is_end) else 0.0

    def seen(self: Journal, payload: bytes) -> None:
        at_once.append(threading.current_thread() is threading.main_thread())
        real(self, payload)

    async def go() -> None:
        journal = Journal(tmp_path / "journal.jsonl")
        monkeypatch.setattr(journal_module, "time", SimpleNamespace(perf_counter=clock))
        monkeypatch.setattr(Journal, "_write", seen)
        for took in (0.0001,) * 5 + (0.0004,) * 2 + (0.0001,) * 5:
            seconds[0] = took
            await journal.record(event(str(took)))
        await journal.close()

    asyncio.run(go())
    assert at_once == [False] * 4 + [True] * 2 + [False] * 5 + [True]
