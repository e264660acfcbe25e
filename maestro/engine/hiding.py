"""Takes secrets out of what agents, tests and other commands of a run have written, once they have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from maestro.engine.context import RunContext
from maestro.errors import StateError
from maestro.model.events import Warned
from maestro.store.masking import mask_folder


async def hide_secrets_in(
    context: RunContext, folder: Path, task: str | None = None, *, before: Callable[[], None] = lambda: None
) -> None:
    """Mask every file below the folder; what could not be masked is said, and the run goes on. `before` is called
    first, in the same thread; what it raises comes out of here.

    Before the end of what wrote them is recorded: a coordinator that dies in between looks at that end again, and
    comes by here once more.
    """

    def hide() -> str | None:
        before()
        try:
            mask_folder(folder, context.redactor)
        except StateError as error:
            return error.message
        return None

    if (refused := await asyncio.to_thread(hide)) is not None:
        await context.recorder.record(Warned(at=context.clock.now(), message=refused, task=task))
