"""What the kernel's facts say of one attempt: alive, suspected or dead; and how much memory it uses. Pure (A-4, E-4).

Silence alone says nothing: agents wait for models and tests run long. So who is silent is looked at: processor time,
states of its processes, what else of it is there. Only who is dead is acted on, that is, of whom nothing is left
that could still do anything.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from maestro.model.record import Record
from maestro.proc.family import ProcessId
from maestro.proc.vitals import TICKS_PER_SECOND, Vital

IDLE_SHARE = 0.01
"""Less processor time than this share is none: a hung agent of node's still spends 0.4 % on its timers (measured)."""

AGAIN = 2
"""So many looks in a row must say the same before anything is stopped."""


class Finding(Record):
    """How an attempt stands, where that is news."""

    suspected: str | None = None  # why it seems dead; None: it shows signs of life again
    note: str = ""  # it is quiet and well; said once
    dead: str = ""  # nothing of it is left but the shell around it: a clause


class Signs:
    """One attempt over time. `wrapper` is the shell around its command, which waits and does nothing by itself."""

    def __init__(self, wrapper: ProcessId, suspect_seconds: float, now: float, *, suspected: bool = False) -> None:
        """`suspected`: it was when an earlier coordinator looked, and is until it shows a sign of life."""
        self._wrapper = wrapper
        self._patience = suspect_seconds
        self._heard = now - suspect_seconds if suspected else now
        self._output: int | None = None  # not known before the first look
        self._ticks: dict[ProcessId, int] = {}
        self._spent = 0
        self._history: deque[tuple[float, int]] = deque([(now, 0)])  # when, ticks spent until then
        self._alone = 0
        self._noted = False
        self._suspected = suspected

    def look(self, now: float, family: Sequence[Vital], output: int, childless: bool = False) -> Finding | None:
        """News after one more look. `output`: bytes written so far. `childless`: the kernel knows no child of the
        wrapper, whatever environment it has."""
        if self._output is not None and output != self._output:
            self._heard = now
        self._output = output
        self._count(now, family)
        others = [vital for vital in family if vital.id != self._wrapper]
        self._alone = self._alone + 1 if not others and childless else 0
        if self._alone >= AGAIN:
            return Finding(dead="nothing of it is left but the shell that was to write down its exit code")
        if now - self._heard < self._patience or not others:
            return self._alive()
        if (reason := self._against(others)) is None:
            return self._alive(f"no output for {spell(self._patience)}, but its processes are at work")
        if self._suspected:
            return None
        self._suspected = True
        return Finding(suspected=reason)

    def _count(self, now: float, family: Sequence[Vital]) -> None:
        """Add up what was spent since the last look. What a process spent is not lost when it ends."""
        for vital in family:
            self._spent += max(vital.ticks - self._ticks.get(vital.id, 0), 0)
        self._ticks = {vital.id: vital.ticks for vital in family}
        self._history.append((now, self._spent))
        while len(self._history) > 1 and self._history[1][0] <= now - self._patience:
            self._history.popleft()

    def _alive(self, note: str = "") -> Finding | None:
        if self._suspected:
            self._suspected = False
            return Finding()
        if note and not self._noted:
            self._noted = True
            return Finding(note=note)
        return None

    def _against(self, others: Sequence[Vital]) -> str | None:
        """Why it seems dead; None where it is at work."""
        states = {vital.state for vital in others}
        if states <= {"T", "t"}:
            return "all its processes are stopped, as by SIGSTOP"
        spent = (self._spent - self._history[0][1]) / TICKS_PER_SECOND
        idle = IDLE_SHARE * self._patience * (2 if self._suspected else 1)
        if spent >= idle:
            return None
        silence = f"no output and {'hardly any' if spent else 'no'} processor time for {spell(self._patience)}"
        if states == {"D"}:
            return f"{silence}: all its processes wait in the kernel, as for a disk that does not answer"
        return silence


class Memory:
    """What one attempt uses of it."""

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit = limit_bytes
        self._over = 0
        self._resident_peak = 0
        self.peak: int | None = None  # bytes; pages that its processes share counted once

    def asks(self, resident: int) -> bool:
        """Whether the exact figure is worth asking for, which costs: at a new peak, or above the limit. The sum of
        what is resident is never less than the exact figure."""
        if self._limit is not None and resident > self._limit:
            return True
        return resident > self._resident_peak * 1.05

    def look(self, resident: int, exact: int | None) -> str | None:
        """Why it must be stopped, where that is so. `exact` None: it was not asked for."""
        if exact is not None:
            self._resident_peak = max(self._resident_peak, resident)
            self.peak = max(self.peak or 0, exact)
        if self._limit is None or exact is None or exact <= self._limit:
            self._over = 0
            return None
        self._over += 1
        if self._over < AGAIN:
            return None
        return f"memory: {in_words(exact)} used, the limit is {in_words(self._limit)}"


def in_words(count: int) -> str:
    """`2.3 GiB`, `310 MiB`; rounded up, so that what is above a limit does not read as if it had kept to it."""
    if count >= 1 << 30:
        return f"{math.ceil(count * 10 / (1 << 30)) / 10:.1f} GiB"
    return f"{math.ceil(count / (1 << 20))} MiB"


def spell(seconds: float) -> str:
    """`2 min`, `90 s`."""
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"
