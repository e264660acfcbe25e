"""Requests over API keys that a provider limits: none refused, in the least time the limits allow (A-6).

    python benchmarks/gateway.py                      300 and 900 requests, 3 keys, 100 a minute each: two minutes
    python benchmarks/gateway.py --window 4           the same with a "minute" of four seconds
    python benchmarks/gateway.py --plain              for comparison: the same clients, each with a key of its own

The provider is the project's model server, which counts every request of a key by its arrival in a sliding window and
refuses one too many, as real ones do. The least time is (requests ÷ requests per window, rounded up, less one) windows,
and what the requests of the last window take by themselves, which is measured without a limit.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp

from maestro.testing.gateway_lab import ASKED, Lab, many
from maestro.testing.key_limit import KeyLimit
from maestro.testing.model_server import ModelServer


async def through_gateway(
    url: str, keys: list[str], count: int, agents: int, rate: int | None, window: float
) -> tuple[float, list[int]]:
    """All of them through one gateway."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), url, keys=keys, per_minute=rate, window_seconds=window)
        async with lab.running() as source:
            return await many(source, count, agents)


async def plain(url: str, keys: list[str], count: int, agents: int) -> tuple[float, list[int]]:
    """A key for each client, which does not know of the others; refused requests are not repeated."""
    loop = asyncio.get_running_loop()
    left, statuses, began = iter(range(count)), [], loop.time()

    async def client(number: int) -> None:
        async with aiohttp.ClientSession(url, headers={"x-api-key": keys[number % len(keys)]}) as session:
            for _ in left:
                async with session.post("/v1/messages", json=ASKED) as answer:
                    await answer.read()
                    statuses.append(answer.status)

    await asyncio.gather(*(client(number) for number in range(agents)))
    return loop.time() - began, statuses


def measure(options: argparse.Namespace, count: int, needs: float) -> bool:
    """One line of the table; whether the goal was reached."""
    keys = [f"sk-ant-api03-benchmark-{number}" for number in range(options.keys)]
    limit = KeyLimit(options.rate, options.window)
    with ModelServer(limit=limit) as server:
        if options.plain:
            took, statuses = asyncio.run(plain(server.url, keys, count, options.agents))
        else:
            took, statuses = asyncio.run(
                through_gateway(server.url, keys, count, options.agents, options.rate, options.window)
            )
    least = (math.ceil(count / (options.rate * options.keys)) - 1) * options.window + needs
    refused = Counter(statuses)[429]
    most = max(limit.most.values())
    print(
        f"{count:9} {took:9.2f} {least:9.2f} {(took / least - 1) * 100:+8.1f} % {refused:9} {limit.refused:9} {most:9}",
        flush=True,
    )
    in_time = took <= max(
        least * 1.1, least + options.window / 20
    )  # where all pass at once, the machine's noise is more
    return refused == 0 and limit.refused == 0 and in_time


def main() -> None:
    """Print the table; exit 1 where a request was refused or the time was missed by more than 10 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, nargs="+", default=[300, 900])
    parser.add_argument("--keys", type=int, default=3)
    parser.add_argument("--rate", type=int, default=100, help="requests of a key in a window")
    parser.add_argument("--window", type=float, default=60.0, help="seconds")
    parser.add_argument("--agents", type=int, default=40, help="clients at once, each one request at a time")
    parser.add_argument("--plain", action="store_true", help="without a gateway, for comparison")
    options = parser.parse_args()
    capacity = options.rate * options.keys
    with ModelServer() as server:
        keys = [f"sk-ant-api03-free-{number}" for number in range(options.keys)]
        needs, _ = asyncio.run(through_gateway(server.url, keys, capacity, options.agents, None, options.window))
    print(f"{options.keys} keys, {options.rate} requests each in {options.window:g} s, {options.agents} clients")
    print(f"without a limit, {capacity} requests take {needs:.2f} s through the gateway")
    print(f"{'requests':>9} {'seconds':>9} {'least':>9} {'over':>10} {'refused':>9} {'by prov.':>9} {'in window':>9}")
    reached = [measure(options, count, needs) for count in options.requests]
    if not options.plain and not all(reached):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
