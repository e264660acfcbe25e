"""Takes secrets out of what agents, tests and other commands of a run have written, once they have ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from maestro.engine.context import RunContext
from maestro.errors import StateError
from maestro.model.events import Warned
from maestro.store.masking import mask_folder


async def hide_secrets_in(context: RunContext, folder: Path, task: str | None = None) -> None:
    """Mask every file below the folder; what could not be masked is said, and the run goes on.

    Before the end of what wrote them is recorded: a coordinator that dies in between looks at that end again, and
    comes by here once more.
    """
    try:
        await asyncio.to_thread(mask_folder, folder, context.redactor)
    except StateError as error:
        await context.recorder.record(Warned(at=context.clock.now(), message=error.message, task=task))
