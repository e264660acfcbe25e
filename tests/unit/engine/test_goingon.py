"""Where the next attempt goes on, as the journal tells it (A-5)."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from maestro.agents.base import Agent
from maestro.engine.goingon import GoingOn, going_on
from maestro.model.outcome import Failed, FailureKind, LimitHit, Lost, Outcome, Succeeded, Usage
from maestro.model.run import Attempt, TaskRun
from maestro.workspaces.base import Workspaces

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = LimitHit(reason="usage limit", usage=Usage(session_id="s-1"))
LOST = Lost(reason="the coordinator died", unwatched=True)
REFUSED = Failed(failure=FailureKind.SESSION, reason="no conversation found")


def attempts(*outcomes: Outcome | None, agent: str = "claude") -> TaskRun:
    made = [
        Attempt(
            number=number, attempt_id=f"x/r/a/{number}", agent=agent, subagent=None, skills=(), base=f"base-{number}",
            branch="maestro/r/a", workspace="/ws", started_at=NOW, outcome=outcome,
        )
        for number, outcome in enumerate(outcomes, 1)
    ]  # fmt: skip
    return TaskRun(id="a", attempts=tuple(made))


def ask(task: TaskRun, number: int, kind: str = "worktree", **agent: Any) -> GoingOn | None:
    like = SimpleNamespace(**{"name": "claude", "resumes": True, **agent})
    return going_on(task, number, cast(Agent, like), cast(Workspaces, SimpleNamespace(kind=kind)))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (attempts(LIMIT), GoingOn("base-1", "s-1")),
        (attempts(Failed(failure=FailureKind.EXIT, reason="x"), LIMIT), GoingOn("base-2", "s-1")),
        (attempts(LIMIT, REFUSED), GoingOn("base-2", None)),  # the same workspace, and not the same refusal again
        (attempts(LIMIT, REFUSED, LIMIT), GoingOn("base-3", "s-1")),
        (attempts(LimitHit(reason="x")), None),  # refused before there was a conversation
        (attempts(LIMIT, Failed(failure=FailureKind.EXIT, reason="x")), None),
        (attempts(Succeeded(commit="c")), None),  # sent back by landing
        (attempts(None), None),
        (attempts(LIMIT, LOST), GoingOn("base-1", "s-1")),  # its coordinator died before it was started
        (attempts(LIMIT, LOST, LOST), GoingOn("base-1", "s-1")),
        (attempts(LOST), None),
        (attempts(LIMIT, LOST.evolve(unwatched=False)), None),
        (attempts(LIMIT, agent="codex"), None),
        (attempts(), None),
    ],
)
def test_how_the_next_attempt_goes_on(task: TaskRun, expected: GoingOn | None) -> None:
    assert ask(task, len(task.attempts) + 1) == expected


def test_neither_in_the_user_s_checkout_nor_with_an_agent_that_cannot() -> None:
    assert ask(attempts(LIMIT), 2, "none") is None
    assert ask(attempts(LIMIT), 2, resumes=False) is None


def test_one_that_was_lost_while_it_worked_is_not_passed_over() -> None:
    task = attempts(LIMIT, LOST)
    worked = task.attempts[1].evolve(pid=7, pid_started=1.0)
    assert ask(task.evolve(attempts=(task.attempts[0], worked)), 3) is None


def test_an_adopted_attempt_is_asked_by_those_before_it() -> None:
    assert ask(attempts(LIMIT, None), 2) == GoingOn("base-1", "s-1")
