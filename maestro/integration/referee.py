"""Judges trees with the gate: each once, a red one twice before anyone is blamed (M-5, M-6)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from maestro.clock import Clock
from maestro.model.events import Event, GateEnded, GateStarted, Warned
from maestro.model.gate import GatePassed, GateRed, GateResult, GateSkipped, GateUnjudged, NotJudged

log = logging.getLogger(__name__)

Judge = Callable[[str, tuple[str, ...]], Awaitable[GateResult]]
"""Checks a commit out somewhere and runs the gate on it; the tasks are those it holds beyond the tip."""

WriteEvent = Callable[[Event], Awaitable[None]]
"""Makes an event durable."""

_OF_THE_MACHINE = frozenset({NotJudged.TIMEOUT, NotJudged.MISSING_RUNNER, NotJudged.SETUP})


def is_green(result: GateResult) -> bool:
    """Only a pass is a pass; skipped is the user's own choice."""
    return isinstance(result, GatePassed | GateSkipped)


def is_of_the_machine(result: GateResult) -> bool:
    """Not judged for a reason that another try may not meet, rather than for what the tree holds."""
    return isinstance(result, GateUnjudged) and result.why in _OF_THE_MACHINE


class GateStopped(Exception):
    """The run is being stopped: nothing is judged any more, and nobody is to blame."""

    def __init__(self, result: GateUnjudged) -> None:
        super().__init__(result.reason)
        self.result = result


class Referee:
    """Remembers the result of each tree, so that no tree is judged twice without a reason."""

    def __init__(self, judge: Judge, record: WriteEvent, clock: Clock, command: str) -> None:
        self._judge = judge
        self._record = record
        self._clock = clock
        self._command = command
        self._known: dict[str, GateResult] = {}
        self._confirmed: set[str] = set()  # trees that were red twice

    def known(self, tree: str) -> GateResult | None:
        """The result of a tree, if it was judged."""
        return self._known.get(tree)

    def forget(self, tree: str) -> None:
        """Judge this tree anew when it is asked for."""
        self._known.pop(tree, None)
        self._confirmed.discard(tree)

    def forget_machine_trouble(self) -> None:
        """Drop results that say nothing about the tree."""
        self._known = {tree: result for tree, result in self._known.items() if not is_of_the_machine(result)}

    async def judged(self, commit: str, tree: str, tasks: tuple[str, ...]) -> GateResult:
        """The result of a tree, judged now unless known; GateStopped when the gate was stopped from outside."""
        if (known := self._known.get(tree)) is not None:
            return known
        result = self._known[tree] = await self._ask(commit, tasks)
        return result

    async def settled(self, commit: str, tree: str, tasks: tuple[str, ...]) -> GateResult:
        """As `judged`, but what is not green is judged once more; one that then passes counts as green.

        A timeout is not repeated, since that would cost as much again. A red tree that passes has flaky tests,
        which are named in a warning.
        """
        first = await self.judged(commit, tree, tasks)
        if tree in self._confirmed or not _worth_repeating(first):
            return first
        second = await self._ask(commit, tasks)
        if isinstance(first, GateRed) and not is_green(second):
            self._confirmed.add(tree)
            return first
        self._known[tree] = second
        if isinstance(first, GateRed):
            names = ", ".join(first.failing) or "the test command"
            message = f"flaky tests: {names} failed and then passed on the same tree (commit {commit[:12]})"
            await self._record(Warned(at=self._clock.now(), message=message, task=tasks[-1] if tasks else None))
        return second

    async def _ask(self, commit: str, tasks: tuple[str, ...]) -> GateResult:
        await self._record(GateStarted(at=self._clock.now(), commit=commit, tasks=tasks, command=self._command))
        try:
            result = await self._judge(commit, tasks)
        except Exception as error:
            log.exception("the gate on %s failed", commit)
            result = GateUnjudged(why=NotJudged.SETUP, reason=f"the gate could not be run: {error}")
        await self._record(GateEnded(at=self._clock.now(), commit=commit, tasks=tasks, result=result))
        if isinstance(result, GateUnjudged) and result.why is NotJudged.STOPPED:
            raise GateStopped(result)
        return result


def _worth_repeating(result: GateResult) -> bool:
    match result:
        case GateRed():
            return True
        case GateUnjudged(why=why):
            return why in _OF_THE_MACHINE and why is not NotJudged.TIMEOUT
        case GatePassed() | GateSkipped():
            return False
