"""Clears up after the coordinator that died, before another goes on with its run (E-6): what nobody will need again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from maestro.engine.context import RunContext
from maestro.engine.goingon import going_on
from maestro.errors import MaestroError
from maestro.model.recovery import Leftover
from maestro.model.states import TaskState
from maestro.proc.family import census, members
from maestro.proc.roles import COORDINATOR, GATEWAY
from maestro.workspaces.base import GATE_BENCH
from maestro.workspaces.janitor import Found, WorkspaceState, clean, forget_removed, list_workspaces, sweep_rubbish
from maestro.workspaces.remains import clear_remains

PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05


async def clear_up(context: RunContext, past: Leftover, own: str) -> None:
    """End processes and remove workspaces that nobody will ask for; `own` marks what this coordinator calls."""
    await _end_processes(context, {one.attempt_id for one in past.open_attempts}, own)
    tasks = [*(one.task for one in past.open_attempts), *(one.task for one in past.unanswered)]
    needed = {context.names[task] for task in (*tasks, *_to_go_on(context))}
    await asyncio.to_thread(_remove_workspaces, context, needed)
    await asyncio.to_thread(_remove_stale_locks, context)


async def clear_unbegun(context: RunContext, own: str) -> None:
    """The same where the coordinator died before its first event: there may be workspaces that it made ahead."""
    await _end_processes(context, (), own)
    await asyncio.to_thread(_remove_made_ahead, context)


def _to_go_on(context: RunContext) -> list[str]:
    """Tasks whose next attempt goes on in the workspace of the last, which a limit cut off."""
    return [
        task.id
        for task in context.recorder.run.tasks.values()
        if task.state is TaskState.PENDING
        and task.attempts
        and going_on(
            task, len(task.attempts) + 1, context.choose(context.plan.tasks[task.id]).agent, context.workspaces
        )
    ]


async def _end_processes(context: RunContext, attempts: Collection[str], own: str) -> None:
    """Gates, refreshes and the like: their answer has nobody to go to. A git of the dead coordinator is waited for:
    it holds locks, and what it does is whole when it ends."""
    prefix = context.marker("")
    found = [marker for marker in await asyncio.to_thread(census) if marker.startswith(prefix)]
    for marker in found:
        kind = marker.removeprefix(prefix).partition("/")[0]
        if marker in attempts or marker == own or kind == GATEWAY:
            continue
        if kind == COORDINATOR:
            await asyncio.to_thread(wait_for, marker)
        await context.executor.end_all(marker)


def wait_for(marker: str) -> None:
    """Until the processes have ended by themselves, or have had their time. Blocks."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and members(marker):
        time.sleep(_LOOK_SECONDS)


def _remove_workspaces(context: RunContext, needed: Collection[str]) -> None:
    """Places that wait empty, the gate's bench, and those of tasks that are over; what is not landed is saved."""
    root = context.workspace_root
    landed = {
        (context.run_id, context.names[task.id])
        for task in context.recorder.run.tasks.values()
        if task.state is TaskState.LANDED
    }
    found = [
        one
        for one in list_workspaces(context.git, root, run_id=context.run_id, landed=landed)
        if one.task_name not in needed or one.home.name.startswith(".")
    ]
    if context.options.keep_workspaces:
        found = [one for one in found if one.home.name.startswith(".") or one.task_name == GATE_BENCH]
    _remove(context, found)


def _remove_made_ahead(context: RunContext) -> None:
    found = list_workspaces(context.git, context.workspace_root, run_id=context.run_id)
    _remove(context, [one for one in found if one.state is WorkspaceState.PARKED])


def _remove(context: RunContext, found: Sequence[Found]) -> None:
    root = context.workspace_root
    with contextlib.suppress(MaestroError, OSError):  # what cannot be removed stays for `maestro clean`
        clean(context.git, root, found, force=True)
        clear_remains(context.git, root, context.run_id)  # while the folder is there
        if root.exists():
            forget_removed(context.git, context.run_id, root)
        sweep_rubbish(root)


def _remove_stale_locks(context: RunContext) -> None:
    """A git that was killed leaves the locks of the refs it was at. Those of this run's own refs are nobody else's,
    and no git of this run is alive."""
    for lock in locks_of_refs(context.git.common_dir(), context.run_id):
        with contextlib.suppress(OSError):
            lock.unlink()


def locks_of_refs(common_dir: Path, run_id: str) -> list[Path]:
    """The lock files of the run's refs that are there now: a git that is at one of them, or was killed at it."""
    refs = common_dir / "refs"
    own = re.compile(rf"(level-\d+-)?{re.escape(run_id)}\.lock")  # not that of a run whose name ends like this one's
    found = [lock for lock in _locks(refs / "heads" / "integration") if own.fullmatch(lock.name)]
    for folder in (refs / "heads" / "maestro", refs / "maestro" / "saved", refs / "maestro" / "checkpoints"):
        found += _locks(folder / run_id)
    return sorted(found)


def _locks(folder: Path) -> list[Path]:
    return [path for path in folder.glob("**/*.lock") if path.is_file()] if folder.is_dir() else []
