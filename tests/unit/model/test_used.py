"""What counts against the allowance of a task, and what its next attempt gets to see."""

from __future__ import annotations

from maestro.model.outcome import Failed, FailureKind, LimitHit, Lost
from maestro.model.used import LOSSES_ALLOWED, Failure, Used, count


def test_an_attempt_that_met_a_limit_counts_not_and_goes_on_where_it_stopped() -> None:
    assert count(Used(), LimitHit(reason="usage limit"), 1, None) == Used()


def test_work_that_a_limit_cut_off_is_named_where_the_next_attempt_begins_anew() -> None:
    used = count(Used(attempts=1), LimitHit(reason="usage limit"), 2, "refs/x")
    said = "it was cut off by a limit of the provider: usage limit"
    assert used == Used(attempts=1, failures=(Failure(attempt=2, reason=said, saved_ref="refs/x"),))


def test_a_conversation_that_is_not_to_be_had_is_nobody_s_failure() -> None:
    used = count(Used(attempts=1), Failed(failure=FailureKind.SESSION, reason="no such session"), 2, None)
    assert used.attempts == 1
    assert "look at `git status`" in used.failures[0].reason, "the work so far is in the workspace"


def test_losses_with_the_coordinator_count_only_after_some_and_only_of_agents_that_were_started() -> None:
    lost = Lost(reason="the coordinator died", unwatched=True)
    started, never = Used(), Used()
    for number in range(1, LOSSES_ALLOWED + 2):
        started = count(started, lost, number, None)
        never = count(never, lost.evolve(before_agent=True), number, None)
    assert (started.attempts, started.losses) == (1, LOSSES_ALLOWED)
    assert (never.attempts, never.losses) == (0, 0)
    assert len(never.failures) == LOSSES_ALLOWED + 1, "each is told to the next attempt all the same"
