"""Looks at the processes of all live attempts every few seconds, all at once and off the event loop (A-4, E-4).

One look reads /proc once, whatever the number of attempts; nothing is looked at while none is watched. What is found
is told to whoever keeps the attempt company; nothing is stopped from here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from maestro.proc.family import ProcessId, command_line
from maestro.proc.vitals import Survey, Vital, is_childless, is_connected, proportional_bytes
from maestro.resources.vital_signs import Finding, Memory, Signs

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks; a look at 50 attempts costs 2 to 3 ms."""

LIMITED_SECONDS = 2.0
"""The same where memory has a limit: what grows fast is to be caught before the machine suffers."""

_SHOWN = 60


class Companion(Protocol):
    """Who keeps an attempt company; called in the event loop's thread."""

    def suspect(self, reason: str | None) -> None:
        """It seems dead; None: it shows signs of life again."""
        ...

    def remark(self, note: str) -> None:
        """Something worth a line."""
        ...

    def perish(self, reason: str) -> None:
        """It is dead: nothing of it is left that could still do anything."""
        ...

    def overeat(self, reason: str) -> None:
        """Its processes together use more memory than one attempt may."""
        ...


@dataclass
class Pulse:
    """One attempt under watch."""

    marker: str
    wrapper: ProcessId
    outputs: tuple[Path, ...]
    companion: Companion
    memory: Memory
    signs: Signs | None  # None: its process only waits for somebody else, so silence means nothing
    over: bool = field(default=False)  # it is being stopped, and that is enough


class _Seen(NamedTuple):
    finding: Finding | None
    overeaten: str | None


class Heartbeats:
    """All attempts of a run that are under way."""

    def __init__(
        self,
        *,
        suspect_seconds: float,
        memory_limit: int | None,
        monotonic: Callable[[], float],
        survey: Survey | None = None,
    ) -> None:
        self._suspect_seconds = suspect_seconds
        self._memory_limit = memory_limit
        self._monotonic = monotonic
        self._survey = survey or Survey()
        self._pulses: list[Pulse] = []
        self._beating: asyncio.Task[None] | None = None
        self._one_look = threading.Lock()  # one that is given up goes on in its thread
        self._failed = False  # the last look

    def watch(
        self,
        marker: str,
        wrapper: ProcessId,
        outputs: tuple[Path, ...],
        companion: Companion,
        *,
        works: bool = True,
        suspected: bool = False,
    ) -> Pulse:
        """Look at an attempt from now on. `works` False: what its process waits for is done by others. `suspected`:
        by an earlier coordinator."""
        signs = Signs(wrapper, self._suspect_seconds, self._monotonic(), suspected=suspected) if works else None
        pulse = Pulse(marker, wrapper, outputs, companion, Memory(self._memory_limit), signs)
        self._pulses.append(pulse)
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat(), name="heartbeats")
        return pulse

    def leave(self, pulse: Pulse) -> None:
        """It is over."""
        with suppress(ValueError):
            self._pulses.remove(pulse)
        if not self._pulses and self._beating is not None:
            self._beating.cancel()
            self._beating = None

    @property
    def seconds(self) -> float:
        """Between two looks."""
        usual = LOOK_SECONDS if self._memory_limit is None else LIMITED_SECONDS
        return min(usual, max(self._suspect_seconds / 4, 0.05))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.seconds)
            pulses = [pulse for pulse in self._pulses if not pulse.over]
            try:
                for pulse, seen in zip(pulses, await asyncio.to_thread(self._look, pulses), strict=True):
                    if pulse in self._pulses:
                        _tell(pulse, seen)
                self._failed = False
            except Exception:  # no look is worth a run; the next one may do better
                if not self._failed:
                    log.exception("the processes of the attempts could not be looked at")
                self._failed = True

    def _look(self, pulses: Sequence[Pulse]) -> list[_Seen]:
        with self._one_look:
            families = self._survey.look()
            now = self._monotonic()
            return [_look_at(pulse, families.get(pulse.marker, []), now) for pulse in pulses]


def _look_at(pulse: Pulse, family: Sequence[Vital], now: float) -> _Seen:
    resident = sum(vital.resident for vital in family)
    exact = proportional_bytes(family) if family and pulse.memory.asks(resident) else None
    overeaten = pulse.memory.look(resident, exact)
    finding = None
    if pulse.signs is not None:
        childless = all(vital.id == pulse.wrapper for vital in family) and is_childless(pulse.wrapper)
        finding = pulse.signs.look(now, family, sum(map(_size, pulse.outputs)), childless)
        if finding is not None and finding.suspected is not None:
            finding = finding.evolve(suspected=finding.suspected + _more(family, pulse.wrapper))
    return _Seen(finding, overeaten)


def _more(family: Sequence[Vital], wrapper: ProcessId) -> str:
    """What helps a person to judge: what it waits for, as far as can be seen."""
    newest = max((vital.id for vital in family if vital.id != wrapper), key=lambda one: (one.started, one.pid))
    words = command_line(newest.pid).replace(b"\0", b" ").decode("utf-8", "replace").split()
    command = " ".join(words)
    shown = command if len(command) <= _SHOWN else command[: _SHOWN - 1] + "…"
    open_to = "; a network connection is open" if is_connected(family) else ""
    return (f"; its newest process is `{shown}`" if shown else "") + open_to


def _tell(pulse: Pulse, seen: _Seen) -> None:
    if seen.overeaten is not None:
        pulse.over = True
        pulse.companion.overeat(seen.overeaten)
    elif seen.finding is None:
        return
    elif seen.finding.dead:
        pulse.over = True
        pulse.companion.perish(seen.finding.dead)
    elif seen.finding.note:
        pulse.companion.remark(seen.finding.note)
    else:
        pulse.companion.suspect(seen.finding.suspected)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
