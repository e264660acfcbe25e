"""Whatever waiters and holders do, in whatever order: at most so many hold it, and who waits longest is next."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from maestro.resources.locks.base import Resource, Who
from maestro.resources.locks.queue import Held, Turn
from maestro.resources.locks.status import status


class Queue(RuleBasedStateMachine):
    """The real queue beside a list."""

    slots = 1

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="maestro-queue-"))
        self.resource = Resource("tests", self.slots)
        self.waiting: list[tuple[str, Turn]] = []
        self.holding: list[tuple[str, Held]] = []
        self.count = 0
        self.tokens = [0]

    @rule()
    def come(self) -> None:
        self.count += 1
        name = str(self.count)
        self.waiting.append((name, Turn(self.folder, self.resource, Who(task=name), {})))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """One of them wakes up, with or without reason; it gets a slot where all before it have, and one is free."""
        place = data.draw(st.integers(0, len(self.waiting) - 1))
        name, turn = self.waiting[place]
        step = turn.advance()
        assert isinstance(step, Held) == (place == 0 and len(self.holding) < self.slots)
        if isinstance(step, Held):
            self.waiting.pop(0)
            self.holding.append((name, step))
            self.tokens.append(step.token)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Or die: the kernel closes the pipe, and nothing else is done."""
        self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))[1].leave()

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))[1].release()

    @rule()
    def lose_the_number_of_the_last(self) -> None:
        """As a power cut may."""
        (self.folder / "tests" / "tail").unlink(missing_ok=True)

    @invariant()
    def it_stands_as_told(self) -> None:
        found = status(self.folder, self.resource)
        assert [one.task for one in found.queue] == [name for name, _ in self.waiting]
        assert {one.task for one in found.holders} == {name for name, _ in self.holding}
        assert self.tokens == sorted(set(self.tokens))

    def teardown(self) -> None:
        for _, turn in self.waiting:
            turn.leave()
        for _, held in self.holding:
            held.release()
        shutil.rmtree(self.folder)


class TwoSlots(Queue):
    slots = 2


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTwoSlots = TwoSlots.TestCase
TestTwoSlots.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
