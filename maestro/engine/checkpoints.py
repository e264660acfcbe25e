"""Makes the checkpoints of a run (E-9): at its start, before each level and before each group."""

from __future__ import annotations

import asyncio

from maestro.engine.context import RunContext
from maestro.errors import MaestroError
from maestro.integration.checkpoint import keep
from maestro.model.events import Checkpoint, Event, Warned


async def make_checkpoint(
    context: RunContext,
    name: str,
    *,
    branch: str,
    commit: str,
    group: str | None = None,
    beside: tuple[Event, ...] = (),
) -> None:
    """Say that the branch can be put back to where it is now, then let a ref keep that commit.

    One that stands in the journal already, at this very place, is not made again: a resumed run meets the same starts.
    Events `beside` it are recorded by the same write.
    """
    checkpoint = Checkpoint(at=context.clock.now(), name=name, branch=branch, commit=commit, group=group)
    known = context.recorder.run.checkpoints.get(name)
    is_known = known is not None and (known.branch, known.commit) == (branch, commit)
    if events := (*(() if is_known else (checkpoint,)), *beside):
        await context.recorder.record(*events)
    try:
        await asyncio.to_thread(keep, context.git, context.run_id, checkpoint)
    except MaestroError as error:  # the branch has the commit too: nothing is lost but a second hold on it
        message = f"the checkpoint {name} is not kept by a ref of its own: {error}"
        await context.recorder.record(Warned(at=context.clock.now(), message=message))
