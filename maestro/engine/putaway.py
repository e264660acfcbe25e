"""Puts a workspace away whose work does not go on to landing."""

from __future__ import annotations

import asyncio

from maestro.engine.context import RunContext
from maestro.errors import MaestroError
from maestro.model.events import Warned
from maestro.workspaces.base import Workspace


async def put_away(context: RunContext, workspace: Workspace, task: str) -> str | None:
    """Save what is not landed, then remove; what cannot be saved is not removed, and said (W-6)."""

    def save_and_remove() -> str | None:
        saved = context.workspaces.save(workspace, context.run_id, context.names[task])
        if not context.options.keep_workspaces:
            context.workspaces.remove(workspace)
        return saved

    try:
        return await asyncio.to_thread(save_and_remove)
    except (MaestroError, OSError) as error:
        message = f"the workspace {workspace.home} is kept, since it could not be put away: {error}"
        await context.recorder.record(Warned(at=context.clock.now(), message=message, task=task))
        return None
