"""A gateway as a run starts it, between many clients and a scripted provider that enforces a limit on each key."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from maestro.clock import SystemClock
from maestro.gateway.contract import HeldKey
from maestro.gateway.keys import GatewayKeys
from maestro.model.events import Event
from maestro.resources.providers import PROVIDERS

KEYS = tuple(f"sk-ant-api03-{name * 8}" for name in "abc")
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


class Lab:
    """The pool's side of a run; `events` is its journal."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        *,
        keys: Sequence[str] = KEYS,
        per_minute: int | None = 100,
        window_seconds: float = 60.0,
        provider: str = "anthropic",
    ) -> None:
        self.folder = folder
        self.upstream = upstream
        self.keys = tuple(HeldKey(value=key, origin=f"KEY_{n}", per_minute=per_minute) for n, key in enumerate(keys))
        self.window_seconds = window_seconds
        self.provider = PROVIDERS[provider]
        self.family = f"{uuid.uuid4().hex}/run/"  # unique on the machine
        self.events: list[Event] = []

    def source(self, keys: Sequence[HeldKey] | None = None) -> GatewayKeys:
        """As a coordinator of this run would make it."""
        return GatewayKeys(
            self.provider,
            keys or self.keys,
            upstream=self.upstream,
            variables=self.provider.key_variables,
            withheld=("KEY_0",),
            family=self.family,
            folder=self.folder / "gateway",
            environ={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            clock=SystemClock(),
            record=self._record,
            window_seconds=self.window_seconds,
        )

    async def _record(self, event: Event) -> None:
        self.events.append(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[GatewayKeys]:
        """A gateway within the context."""
        source = self.source()
        await source.start()
        try:
            yield source
        finally:
            await source.close()


def client(source: GatewayKeys, attempt: str = "t/run/task/1") -> aiohttp.ClientSession:
    """A client as an attempt's agent would be."""
    env = source.environment(attempt)
    return aiohttp.ClientSession(
        base_url=URL(env["ANTHROPIC_BASE_URL"]).origin(),
        headers={"x-api-key": env["ANTHROPIC_API_KEY"]},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=300),
    )


async def many(source: GatewayKeys, count: int, agents: int) -> tuple[float, list[int]]:
    """So many requests by so many agents at once, each its next after its last; the time it took, and the answers."""
    left = iter(range(count))
    statuses: list[int] = []

    async def agent(number: int) -> None:
        async with client(source, f"t/run/task-{number}/1") as session:
            for _ in left:
                async with session.post("/v1/messages", json=ASKED) as answer:
                    await answer.read()
                    statuses.append(answer.status)

    began = time.monotonic()
    await asyncio.gather(*(agent(number) for number in range(agents)))
    return time.monotonic() - began, statuses
