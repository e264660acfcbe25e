"""Going on where a limit cut an attempt off: in the same workspace, and in the same conversation where possible (A-5).

What is needed stands in the journal and in the workspace, so that a later coordinator goes on just as this one would.
"""

from __future__ import annotations

from dataclasses import dataclass

from maestro.agents.base import Agent
from maestro.model.outcome import Failed, FailureKind, LimitHit, Outcome
from maestro.model.run import TaskRun
from maestro.workspaces.base import Workspaces


@dataclass(frozen=True)
class GoingOn:
    """Where the next attempt takes up what the last one left."""

    base: str  # of the workspace as it stands; landing copes with what has moved since
    session: str | None  # None: a new conversation in the same workspace


def keeps_workspace(outcome: Outcome, agent: Agent, workspaces: Workspaces) -> bool:
    """Whether the workspace of an attempt that ended so waits for the next one. The user's own checkout never does."""
    if not agent.resumes or workspaces.kind == "none":
        return False
    if isinstance(outcome, Failed):
        return outcome.failure is FailureKind.SESSION
    return isinstance(outcome, LimitHit) and outcome.usage.session_id is not None


def going_on(task: TaskRun, number: int, agent: Agent, workspaces: Workspaces) -> GoingOn | None:
    """How the `number`th attempt at a task goes on; None where it begins anew.

    A conversation that was refused is not asked for again, so that nothing is refused for ever.
    """
    last = next((one for one in reversed(task.attempts) if one.number < number), None)
    if last is None or last.outcome is None or last.agent != agent.name:
        return None
    if not keeps_workspace(last.outcome, agent, workspaces):
        return None
    session = last.outcome.usage.session_id if isinstance(last.outcome, LimitHit) else None
    return GoingOn(base=last.base, session=session)
