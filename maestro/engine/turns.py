"""Waiting for a named resource, as the journal tells it (I-7)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from maestro.engine.context import RunContext
from maestro.model.events import Event, ResourceQueued, ResourceTaken
from maestro.resources.base import Lock, Locks
from maestro.resources.locks.base import Holder, LockStatus, Who

TOKEN_OF = "MAESTRO_FENCING_TOKEN_"
"""And the name of the resource, for a task that holds several."""


async def take_turn(
    context: RunContext, locks: Locks, name: str, who: Who, *, limit_seconds: float | None, is_news: bool
) -> Lock:
    """A slot of the resource. That it has to be waited for is recorded, and that it is held then, or in any case where
    it `is_news`. When cancelled, nothing is held. MaestroError where it cannot be had."""
    recording: list[asyncio.Future[None]] = []

    def queued(status: LockStatus) -> None:
        recording.append(asyncio.ensure_future(context.recorder.record(_queued(status, who, context))))

    lock = await locks.take(name, who, limit_seconds=limit_seconds, on_queued=queued)
    try:
        await asyncio.gather(*recording)
        if recording or is_news:
            await context.recorder.record(_taken(name, who, lock, context.clock.now()))
    except BaseException:
        lock.release()
        raise
    return lock


def variables_under(locks: Mapping[str, Lock]) -> dict[str, str]:
    """What goes into the environment of whoever holds these: where they are several, each has its token under its own
    name, and the largest stands for all."""
    variables: dict[str, str] = {}
    for _, lock in sorted(locks.items(), key=lambda item: item[1].token):
        variables |= lock.variables
    if len(locks) > 1:
        variables |= {TOKEN_OF + _in_capitals(name): str(lock.token) for name, lock in locks.items()}
    return variables


def _in_capitals(name: str) -> str:
    return "".join(one if one.isalnum() else "_" for one in name.upper())


def _queued(status: LockStatus, who: Who, context: RunContext) -> Event:
    places = [place for place, one in enumerate(status.queue) if (one.task, one.run) == (who.task, who.run)]
    return ResourceQueued(
        at=context.clock.now(),
        resource=status.name,
        task=who.task,
        holders=tuple(holder_words(one, context.run_id) for one in status.holders),
        ahead=places[-1] if places else len(status.queue),
    )


def _taken(name: str, who: Who, lock: Lock, now: datetime) -> Event:
    waited = round(lock.waited_seconds, 3)
    return ResourceTaken(at=now, resource=name, task=who.task, fencing=lock.token, waited_seconds=waited)


def holder_words(holder: Holder, run_id: str) -> str:
    """Who holds it: `task x of run r since 12:04:05Z`."""
    who = f"task {holder.task}" if holder.task else holder.what or f"process {holder.pid}"
    of_run = f" of run {holder.run}" if holder.run and holder.run != run_id else ""
    return f"{who}{of_run} since {holder.since[11:19]}Z"
