"""First come, first served; who would wait too long is told so."""

from __future__ import annotations

import asyncio

import pytest

from maestro.gateway.turnstile import Lease, Place, TooLong, Turnstile
from maestro.resources.keypool import KeyPool


def turnstile(*rates: int | None, window: float = 60.0, bound: float = 240.0) -> Turnstile:
    return Turnstile(KeyPool(rates, window_seconds=window), bound_seconds=bound)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_keys_go_out_in_the_order_of_arrival() -> None:
    async def main() -> None:
        gate, order = turnstile(1, window=0.1), []

        async def one(number: int) -> None:
            lease = await gate.enter(gate.place())
            order.append(number)
            gate.answered(lease)

        await asyncio.gather(*(one(number) for number in range(4)))
        assert order == [0, 1, 2, 3]
        assert gate.waiting == 0

    asyncio.run(main())


def test_who_must_ask_again_keeps_its_place() -> None:
    async def main() -> None:
        gate = turnstile(1, window=0.1)
        first, second = gate.place(), gate.place()
        gate.answered(await gate.enter(first))
        later = asyncio.create_task(gate.enter(second))
        await settled()
        again = asyncio.create_task(gate.enter(first))
        done, _ = await asyncio.wait([later, again], return_when=asyncio.FIRST_COMPLETED)
        assert done == {again}
        gate.answered(again.result())
        gate.answered(await later)

    asyncio.run(main())


def test_a_wait_beyond_the_bound_is_refused_at_once() -> None:
    async def main() -> None:
        gate = turnstile(1, bound=100.0)
        gate.answered(await gate.enter(gate.place()))
        waiting = asyncio.create_task(gate.enter(gate.place()))  # 60 s
        await settled()
        with pytest.raises(TooLong) as caught:
            await gate.enter(gate.place())  # 120 s
        assert 119 <= caught.value.seconds <= 121
        assert gate.waiting == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())


def test_those_who_wait_are_told_when_all_keys_rest_beyond_the_bound() -> None:
    async def main() -> None:
        gate = turnstile(1, None, bound=100.0)
        gate.rest(1, 50.0)
        gate.answered(await gate.enter(gate.place()))
        waiting = asyncio.create_task(gate.enter(gate.place()))
        await settled()
        gate.rest(0, 300.0)
        assert not waiting.done()
        gate.rest(1, 200.0)
        with pytest.raises(TooLong) as caught:
            await waiting
        assert 199 <= caught.value.seconds <= 201

    asyncio.run(main())


def test_a_client_that_leaves_gives_its_turn_to_the_next() -> None:
    async def main() -> None:
        gate = turnstile(1, window=60.0)
        lease = await gate.enter(gate.place())
        leaves = asyncio.create_task(gate.enter(gate.place()))
        stays = asyncio.create_task(gate.enter(gate.place()))
        await settled()
        gate.never_sent(lease)  # `leaves` is given the key, and goes before it has heard of it
        leaves.cancel()
        assert await stays == Lease(0, 3)

    asyncio.run(main())


def test_places_are_ordered() -> None:
    assert Place(1, 9.0) < Place(2, 1.0)
