"""A new attempt waits for a workspace that is on its way back, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from maestro.engine import returning
from maestro.engine.returning import Returning


class Lab:
    """Two places; attempts under way, and workspaces of ended ones, by hand."""

    def __init__(self) -> None:
        self.under_way = 0
        self.held = 0
        self.is_coming = True
        self.returning = Returning(2, lambda: self.held, lambda: self.is_coming)
        self.served: list[str] = []

    async def attempt(self, name: str) -> None:
        self.under_way += 1
        await self.returning.room(lambda: self.under_way)
        self.served.append(name)

    async def back(self) -> None:
        self.held -= 1
        await self.returning.changed()


def played(play: Callable[[Lab], object]) -> Lab:
    async def scene() -> Lab:
        lab = Lab()
        await play(lab)  # type: ignore[misc]
        return lab

    return asyncio.run(scene())


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "MOST_SECONDS", 60.0)


def test_who_finds_room_does_not_wait() -> None:
    async def play(lab: Lab) -> None:
        await asyncio.gather(lab.attempt("a"), lab.attempt("b"))

    assert played(play).served == ["a", "b"]


def test_each_that_comes_back_lets_one_go_on_in_the_order_in_which_they_came() -> None:
    async def play(lab: Lab) -> None:
        lab.held = 2
        waiting = [asyncio.create_task(lab.attempt(name)) for name in "ab"]
        await settled()
        assert lab.served == []
        await lab.back()
        await settled()
        assert lab.served == ["a"]
        await lab.back()
        await asyncio.gather(*waiting)

    assert played(play).served == ["a", "b"]


def test_one_that_does_not_come_back_is_not_waited_for() -> None:
    async def play(lab: Lab) -> None:
        lab.held = 2
        waiting = asyncio.create_task(lab.attempt("a"))
        await settled()
        assert lab.served == []
        lab.is_coming = False  # a test stands before it now
        await lab.returning.changed()
        await waiting

    assert played(play).served == ["a"]


def test_what_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "MOST_SECONDS", 0.01)

    async def play(lab: Lab) -> None:
        lab.held = 2
        await lab.attempt("a")

    assert played(play).served == ["a"]


def test_who_is_stopped_while_it_waits_stands_in_nobodys_way() -> None:
    async def play(lab: Lab) -> None:
        lab.held = 2
        first, second = (asyncio.create_task(lab.attempt(name)) for name in "ab")
        await settled()
        first.cancel()
        await asyncio.wait([first])
        lab.under_way -= 1
        await lab.back()
        await second

    assert played(play).served == ["b"]
