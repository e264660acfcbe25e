"""Puts a workspace away whose work does not go on to landing."""

from __future__ import annotations

import asyncio

from maestro.engine.context import RunContext
from maestro.errors import MaestroError
from maestro.model.events import Warned
from maestro.model.states import TaskState
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


async def save_what_waits(context: RunContext) -> dict[str, str]:
    """The run ends while attempts wait for the end of a limit: task → the ref that keeps their work so far. Their
    workspaces stay, for `maestro resume` to go on in them."""
    saved = {}
    for task in context.recorder.run.tasks.values():
        if task.state is TaskState.PENDING and task.attempts and context.workspaces.kind != "none":
            try:
                found = await asyncio.to_thread(_save_kept, context, context.names[task.id])
            except (MaestroError, OSError) as error:
                message = f"the work in {context.home_of(context.names[task.id])} could not be saved: {error}"
                await context.recorder.record(Warned(at=context.clock.now(), message=message, task=task.id))
                continue
            if found is not None:
                saved[task.id] = found
    return saved


def _save_kept(context: RunContext, name: str) -> str | None:
    workspace = context.workspaces.adopt(context.home_of(name))
    return None if workspace is None else context.workspaces.save(workspace, context.run_id, name)
