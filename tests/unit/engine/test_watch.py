"""The three clocks over a running attempt (A-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.engine import watch as watching
from maestro.engine.watch import Clocks, Exited, RanOut, StopAsked, Tail, Watch, tail_of
from maestro.model.outcome import Clock3
from maestro.proc.request import Exit


class FakeRunning:
    """A child that ends when told to."""

    pid = 1
    pid_started = 0.0

    def __init__(self) -> None:
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    async def wait(self) -> Exit:
        return await asyncio.shield(self.ended)

    async def stop(self, reason: str) -> None:
        self.ended.set_result(Exit(code=143, seconds=0))

    async def sweep(self) -> int:
        return 0

    def resident_bytes(self) -> int:
        return 0


class FakeReader:
    """Ends at the word END; every line is a note."""

    def __init__(self) -> None:
        self.ended = False

    def feed(self, chunk: bytes) -> Sequence[str]:
        self.ended = b"END" in chunk
        return chunk.decode().split()

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        return Verdict(claim=Claim.DONE)


class FakeTime:
    """Moves on by a second with every look, so that no test waits for a real one."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def watched(stdout: Path, clocks: Clocks, *, reader: bool = True, after: str = "") -> tuple[object, list[str]]:
    """Watch a child whose output is there from the start; `after`: what happens to it at once ("exit", "stop")."""
    notes: list[str] = []

    async def go() -> object:
        running, stop = FakeRunning(), asyncio.Event()
        if after == "exit":
            running.ended.set_result(Exit(code=0, seconds=1))
        if after == "stop":
            stop.set()
        watch = Watch(running, FakeReader() if reader else None, stdout, clocks, FakeTime(), notes.append)
        return await asyncio.wait_for(watch.until_end(stop), 20)

    return asyncio.run(go()), notes


def test_silence_ends_an_agent_that_should_speak(tmp_path: Path, monkeypatch: object) -> None:
    watching.TICK_SECONDS, before = 0.01, watching.TICK_SECONDS
    try:
        ended, _ = watched(tmp_path / "nothing", Clocks(silent_seconds=5, total_seconds=100, exit_seconds=100))
    finally:
        watching.TICK_SECONDS = before
    assert ended == RanOut(Clock3.SILENT, 5)


@pytest.mark.parametrize(("excuses", "clock"), [(1000, Clock3.NO_END), (3, Clock3.SILENT), (0, Clock3.SILENT)])
def test_silence_with_a_reason_counts_for_nothing(
    excuses: int, clock: Clock3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "TICK_SECONDS", 0.005)
    asked: list[int] = []

    async def go() -> object:
        clocks = Clocks(silent_seconds=20, total_seconds=90, exit_seconds=100)
        watch = Watch(
            FakeRunning(), FakeReader(), tmp_path / "nothing", clocks, FakeTime(), lambda _: None,
            lambda: asked.append(1) or len(asked) <= excuses,
        )  # fmt: skip
        return await asyncio.wait_for(watch.until_end(asyncio.Event()), 20)

    ended = asyncio.run(go())

    assert ended == RanOut(clock, 20 if clock is Clock3.SILENT else 90)
    assert len(asked) <= min(excuses, 90 / 5) + 4  # four times in each limit, no more


def test_an_agent_that_does_not_stream_may_be_silent(tmp_path: Path) -> None:
    clocks = Clocks(silent_seconds=0.001, total_seconds=0.05, exit_seconds=None)
    ended, _ = watched(tmp_path / "nothing", clocks, reader=False)
    assert ended == RanOut(Clock3.NO_END, 0.05)


def test_an_end_without_an_exit_has_a_clock_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("working END")
    watching.TICK_SECONDS, before = 0.01, watching.TICK_SECONDS
    try:
        ended, notes = watched(out, Clocks(silent_seconds=3, total_seconds=100, exit_seconds=8))
    finally:
        watching.TICK_SECONDS = before
    assert ended == RanOut(Clock3.NO_EXIT, 8)
    assert notes == ["working", "END"]


def test_an_exit_ends_the_watch_and_all_output_was_read(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("a b END")
    ended, notes = watched(out, Clocks(None, None, None), after="exit")
    assert isinstance(ended, Exited)
    assert notes == ["a", "b", "END"]


def test_a_wish_to_stop_is_told(tmp_path: Path) -> None:
    ended, _ = watched(tmp_path / "out", Clocks(None, None, None), after="stop")
    assert ended == StopAsked()


def test_a_tail_reads_each_byte_once(tmp_path: Path) -> None:
    path, got = tmp_path / "out", bytearray()
    tail = Tail(path)
    assert not tail.read(got.extend)
    path.write_bytes(b"one ")
    assert tail.read(got.extend)
    with path.open("ab") as file:
        file.write(b"two" * 200_000)
    assert tail.read(got.extend)
    assert bytes(got) == path.read_bytes()


def test_the_end_of_a_long_output_is_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("".join(f"line {n}\n" for n in range(5000)))
    shown = tail_of(path, 100)
    assert shown.splitlines()[0].startswith("line ")
    assert shown.endswith("line 4999")
    assert len(shown) <= 100
    assert tail_of(tmp_path / "none") == ""
