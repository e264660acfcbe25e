"""The end of a run: what became of it, written from the branch and not from memory."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from maestro.engine.context import RunContext
from maestro.errors import GitError
from maestro.integration.branches import LandedOnBase, land_on_base
from maestro.model.events import GroupMoved, RunEnded, Warned
from maestro.model.run import Run
from maestro.model.states import GroupStatus, RunStatus, TaskState
from maestro.model.task import Progress

SHELVED = frozenset({Progress.DEFERRED, Progress.CANCELLED})
"""What the user put off by their own word in the tracker."""


async def finish(
    context: RunContext,
    *,
    interrupted: bool,
    stopped: str | None,
    missing: Collection[str],
    budget: Mapping[str, Any] | None = None,
) -> Run:
    """Land on the base where wished, and record the end.

    `missing`: landed tasks that the branch has lost. `budget`: what of the budgets was used, for the metrics.
    """
    run = context.recorder.run
    reason = stopped or (f"{run.branch} has lost {len(missing)} landed commit(s)" if missing else "")
    for task in missing:
        message = f"the commit of {task} is no longer on {run.branch}: somebody moved the branch"
        await context.recorder.record(Warned(at=context.clock.now(), message=message, task=task))
    for group in run.groups.values():
        if group.status in (GroupStatus.PENDING, GroupStatus.IN_PROGRESS):
            why = reason or "the run ended before the group did"
            await context.recorder.record(
                GroupMoved(
                    at=context.clock.now(),
                    group=group.id,
                    phase=group.phase,
                    status=GroupStatus.BLOCKED,
                    errors=(why,),
                )
            )
    shelved = {task for task in context.plan.set_aside if context.plan.tasks[task].progress in SHELVED}
    status = status_of(run, shelved, interrupted=interrupted, stopped=stopped is not None or bool(missing))
    if context.options.land_on_base and status is RunStatus.COMPLETED:
        refused = await asyncio.to_thread(_land_on_base, context, run)
        if refused is not None:
            status, reason = RunStatus.BLOCKED, refused
    metrics = {**context.metrics(), "budget": budget}
    await context.recorder.record(RunEnded(at=context.clock.now(), status=status, reason=reason, metrics=metrics))
    return context.recorder.run


def status_of(run: Run, shelved: Collection[str], *, interrupted: bool, stopped: bool) -> RunStatus:
    """The status of C-1a: a person is needed (stopped, blocked) unless the only trouble is failed tasks.

    `shelved` tasks do not count: the user has put them off, and nothing is amiss when they stay where they are.
    """
    states = {task.state for task in run.tasks.values() if task.id not in shelved}
    if interrupted:
        return RunStatus.INTERRUPTED
    if stopped:
        return RunStatus.BLOCKED
    if TaskState.FAILED in states:
        return RunStatus.FAILED
    return RunStatus.COMPLETED if states <= {TaskState.LANDED} else RunStatus.BLOCKED


def missing_from_branch(context: RunContext, run: Run) -> list[str]:
    """Landed tasks whose commit is not an ancestor of the integration branch as it is now."""
    landed = {task.id: task.commit for task in run.tasks.values() if task.commit is not None}
    if not landed:
        return []
    branch = f"refs/heads/{run.branch}"
    try:
        there = set(context.git.text("rev-list", branch, f"^{context.base}", "--").splitlines())
    except GitError:
        if context.git.commit_of(branch) is not None:
            raise
        return sorted(landed)
    return sorted(task for task, commit in landed.items() if commit not in there)


def _land_on_base(context: RunContext, run: Run) -> str | None:
    """Move the base branch to the integration branch; why not, where that is refused."""
    outcome = land_on_base(context.git, context.base_branch, run.tip, context.base)
    return None if isinstance(outcome, LandedOnBase) else outcome.reason
