"""What is done about how an attempt is: said when it seems dead, ended when it is, or eats the machine (A-4, E-4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from maestro.engine.heartbeat import Pulse
from maestro.engine.preparing import Outfit
from maestro.executors.base import Running
from maestro.model.events import AttemptSuspected, Event
from maestro.model.offer import DELEGATE
from maestro.model.outcome import Failed, FailureKind, Lost, Usage
from maestro.model.run import Attempt
from maestro.proc.family import ProcessId


class Wellbeing:
    """A Companion of one attempt's heartbeats."""

    def __init__(
        self,
        outfit: Outfit,
        *,
        ask_to_stop: Callable[[str], None],
        note: Callable[[str], None],
        record: Callable[[Event], None],
    ) -> None:
        """`record` does not hold up: what it cannot write is raised elsewhere."""
        self._outfit = outfit
        self._context = outfit.context
        self._ask_to_stop = ask_to_stop
        self._record = record
        self.remark = note
        self._pulses: list[Pulse] = []  # of its setup commands, and of its agent
        self._overeaten: str | None = None
        self._dead: str | None = None

    @property
    def peak_memory_bytes(self) -> int | None:
        """Of all its processes together, as far as they were looked at."""
        return max((pulse.memory.peak for pulse in self._pulses if pulse.memory.peak is not None), default=None)

    @property
    def seemed_dead(self) -> bool:
        """It is stopped since nothing seemed left of it."""
        return self._dead is not None

    @property
    def failure(self) -> FailureKind | None:
        """What it comes to, where it is stopped for what it did."""
        return None if self._overeaten is None else FailureKind.MEMORY

    @contextmanager
    def watched(self, running: Running) -> Iterator[None]:
        """Look at the processes of its agent meanwhile."""
        works = self._outfit.brief.chosen.agent.name != DELEGATE  # else a subagent of the session does the work
        with self._looked_at(running, ("stdout", "stderr"), works=works):
            yield

    @contextmanager
    def watched_setup(self, running: Running) -> Iterator[None]:
        """Look at the processes of a setup command meanwhile; its end is a sign of life."""
        with self._looked_at(running, ("setup.log",), works=True):
            yield
        if self._last.suspected is not None:
            self.suspect(None)

    @contextmanager
    def _looked_at(self, running: Running, outputs: tuple[str, ...], *, works: bool) -> Iterator[None]:
        pulse = self._context.heartbeats.watch(
            self._outfit.attempt_id,
            ProcessId(running.pid, running.pid_started),
            tuple(self._outfit.directory / name for name in outputs),
            self,
            works=works,
            suspected=self._last.suspected is not None,
        )
        self._pulses.append(pulse)
        try:
            yield
        finally:
            self._context.heartbeats.leave(pulse)

    @property
    def _last(self) -> Attempt:
        return self._context.recorder.run.tasks[self._outfit.task].attempts[-1]

    def suspect(self, reason: str | None) -> None:
        """It seems dead, or does not any more: nothing but words."""
        masked = None if reason is None else self._context.redactor.mask(reason)
        now, outfit = self._context.clock.now(), self._outfit
        self._record(AttemptSuspected(at=now, task=outfit.task, attempt_id=outfit.attempt_id, reason=masked))

    def perish(self, reason: str) -> None:
        """Nothing of it is left: no clock has to run out first."""
        self._dead = reason
        self._ask_to_stop(reason)

    def overeat(self, reason: str) -> None:
        """More memory than one attempt may use."""
        self._overeaten = reason
        self._ask_to_stop(reason)

    def end(self, usage: Usage, output_tail: str) -> Failed | Lost | None:
        """What a stopped attempt comes to, where it was stopped from here."""
        if self._overeaten is not None:
            return Failed(failure=FailureKind.MEMORY, reason=self._overeaten, output_tail=output_tail, usage=usage)
        if self._dead is not None:
            return Lost(reason=self._dead, output_tail=output_tail, usage=usage)
        return None
