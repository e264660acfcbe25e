"""Two things at once, where neither needs the other and both are mostly waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(other: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """`other` goes on beside the body and has ended after it, whatever became of either. What it raises is raised at
    the end of the body."""
    task = asyncio.create_task(other)
    try:
        yield task
    finally:
        await task
