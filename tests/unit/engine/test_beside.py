"""Two things at once: both have ended when the body has, whatever became of either."""

from __future__ import annotations

import asyncio

import pytest

from maestro.engine.beside import beside


def test_the_other_goes_on_while_the_body_does() -> None:
    async def scene() -> None:
        met = asyncio.Event()

        async def other() -> str:
            met.set()
            return "done"

        async with asyncio.timeout(30), beside(other()) as task:
            await met.wait()
        assert task.result() == "done"

    asyncio.run(scene())


def test_the_body_fails_and_the_other_is_waited_for() -> None:
    async def scene() -> None:
        ended = []

        async def other() -> None:
            await asyncio.sleep(0)
            ended.append(True)

        with pytest.raises(ValueError, match="body"):
            async with beside(other()):
                raise ValueError("body")
        assert ended == [True]

    asyncio.run(scene())


def test_what_the_other_raises_is_raised() -> None:
    async def scene() -> None:
        async def other() -> None:
            raise ValueError("other")

        with pytest.raises(ValueError, match="other"):
            async with beside(other()):
                pass

    asyncio.run(scene())
