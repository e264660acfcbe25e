"""Going on where a limit cut an attempt off: in the same workspace, and in the same conversation where possible (A-5).

What is needed stands in the journal and in the workspace, so that a later coordinator goes on just as this one would.
"""

from __future__ import annotations

from typing import NamedTuple

from maestro.agents.base import Agent
from maestro.model.outcome import Failed, FailureKind, LimitHit, Lost
from maestro.model.run import Attempt, TaskRun
from maestro.workspaces.base import Workspaces


class GoingOn(NamedTuple):
    """Where the next attempt takes up what the last one left."""

    base: str  # of the workspace as it stands; landing copes with what has moved since
    session: str | None  # None: a new conversation in the same workspace


def going_on(task: TaskRun, number: int, agent: Agent, workspaces: Workspaces) -> GoingOn | None:
    """How the `number`th attempt at a task goes on; None where it begins anew, and the workspace need not stay.

    A conversation that was refused is not asked for again, so that nothing is refused for ever. The user's own checkout
    never waits.
    """
    before = (one for one in reversed(task.attempts) if one.number < number)
    last = next((one for one in before if not _came_to_nothing(one)), None)
    if last is None or last.agent != agent.name or not agent.resumes or workspaces.kind == "none":
        return None
    match last.outcome:
        case LimitHit(usage=usage) if usage.session_id is not None:
            return GoingOn(base=last.base, session=usage.session_id)
        case Failed(failure=FailureKind.SESSION):
            return GoingOn(base=last.base, session=None)
        case _:
            return None


def _came_to_nothing(attempt: Attempt) -> bool:
    """Whether the coordinator died before it had started the agent, so that all is as it was before."""
    return isinstance(attempt.outcome, Lost) and attempt.outcome.unwatched and attempt.pid is None
