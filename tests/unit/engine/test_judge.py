"""Done is judged by evidence, never by a word or an exit code alone (A-3)."""

from __future__ import annotations

import pytest

from maestro.agents.base import Claim, Verdict
from maestro.engine.judge import judge
from maestro.model.outcome import AgentBlocked, Failed, FailureKind, LimitHit, Lost, Outcome, Succeeded
from maestro.model.report import BadReport, Report
from maestro.workspaces.base import WorkEvidence

NOTHING = WorkEvidence(tip="base", new_commits=0, changed_paths=(), committed_by_maestro=False)
WORK = WorkEvidence(tip="abc", new_commits=2, changed_paths=("a.py",), committed_by_maestro=False)
EMPTY = WorkEvidence(tip="abc", new_commits=1, changed_paths=(), committed_by_maestro=False)


def said(claim: Claim, reason: str = "why") -> Verdict:
    return Verdict(claim=claim, reason=reason, summary="last words")


def report(status: str, summary: str = "because") -> Report:
    return Report.model_validate({"status": status, "summary": summary})


@pytest.mark.parametrize(
    ("verdict", "left", "evidence", "code", "kind"),
    [
        (said(Claim.DONE), None, NOTHING, 0, FailureKind.NO_COMMIT),
        (said(Claim.DONE), report("done"), NOTHING, 0, FailureKind.NO_COMMIT),
        (said(Claim.DONE), None, EMPTY, 0, FailureKind.EMPTY_DIFF),
        (said(Claim.DONE), report("failed"), WORK, 0, FailureKind.REPORTED),
        (said(Claim.DONE), report("no_change", " "), NOTHING, 0, FailureKind.REPORTED),
        (said(Claim.FAILED), None, WORK, 1, FailureKind.EXIT),
        (said(Claim.FAILED), report("done"), WORK, 1, FailureKind.EXIT),
        (said(Claim.FAILED), None, WORK, 0, FailureKind.AGENT_ERROR),
        (said(Claim.FAILED), None, NOTHING, 127, FailureKind.SPAWN),
        (said(Claim.SILENT), None, WORK, 0, FailureKind.AGENT_ERROR),
        (said(Claim.SILENT), report("done"), NOTHING, 0, FailureKind.NO_COMMIT),
        (said(Claim.DENIED), None, NOTHING, 0, FailureKind.DENIED),
        (said(Claim.BUDGET), None, WORK, 1, FailureKind.BUDGET),
        (said(Claim.BUDGET), report("no_change"), NOTHING, 1, FailureKind.BUDGET),
        (said(Claim.DONE), None, WORK.evolve(damage="`.git` is gone"), 0, FailureKind.WORKSPACE),
    ],
)
def test_what_is_no_success(
    verdict: Verdict, left: Report | None, evidence: WorkEvidence, code: int, kind: FailureKind
) -> None:
    outcome = judge(verdict, left, evidence, exit_code=code, output_tail="tail")
    assert isinstance(outcome, Failed)
    assert outcome.failure is kind
    assert outcome.output_tail == "tail"


@pytest.mark.parametrize("retryable", [True, False])
def test_whether_the_same_again_can_help_is_the_adapters_word(retryable: bool) -> None:
    verdict = said(Claim.FAILED, "the key was refused").evolve(retryable=retryable)
    outcome = judge(verdict, None, NOTHING, exit_code=1)
    assert isinstance(outcome, Failed)
    assert outcome.retryable is retryable


def test_a_spent_budget_is_not_spent_again() -> None:
    outcome = judge(said(Claim.BUDGET, "Reached maximum budget ($0.1)"), None, WORK, exit_code=1)
    assert isinstance(outcome, Failed)
    assert (outcome.retryable, outcome.reason) == (False, "Reached maximum budget ($0.1)")


@pytest.mark.parametrize(
    ("verdict", "left", "evidence", "expected"),
    [
        (said(Claim.DONE), None, WORK, Succeeded),
        (said(Claim.SILENT), report("done"), WORK, Succeeded),
        (said(Claim.DENIED), None, WORK, Succeeded),
        (said(Claim.BUDGET), report("done"), WORK, Succeeded),  # the money ran out over its last words
        (said(Claim.DONE), report("blocked"), WORK, AgentBlocked),
        (said(Claim.LIMIT), report("done"), WORK, LimitHit),
    ],
)
def test_other_outcomes(verdict: Verdict, left: Report | None, evidence: WorkEvidence, expected: type[Outcome]) -> None:
    assert isinstance(judge(verdict, left, evidence, exit_code=0), expected)


def test_a_process_that_left_no_exit_status_is_lost_even_with_commits() -> None:
    assert isinstance(judge(said(Claim.SILENT), None, WORK, exit_code=None), Lost)


def test_no_change_with_a_reason_counts_as_success_without_a_commit() -> None:
    outcome = judge(said(Claim.DONE), report("no_change", "already there"), NOTHING, exit_code=0)
    assert isinstance(outcome, Succeeded)
    assert outcome.no_change
    assert outcome.commit is None
    assert outcome.summary == "already there"


def test_no_change_with_commits_is_judged_by_the_commits() -> None:
    outcome = judge(said(Claim.DONE), report("no_change"), WORK, exit_code=0)
    assert isinstance(outcome, Succeeded)
    assert outcome.commit == "abc"


def test_a_bad_report_is_named_and_counts_as_none() -> None:
    bad = BadReport(reason="line 1: not JSON")
    outcome = judge(said(Claim.DONE), bad, WORK, exit_code=0)
    assert isinstance(outcome, Succeeded)
    assert outcome.notes == ("its report was not usable: line 1: not JSON",)
    outcome = judge(said(Claim.DONE), bad, NOTHING, exit_code=0)
    assert isinstance(outcome, Failed)
    assert "line 1: not JSON" in outcome.reason


def test_work_that_maestro_committed_is_marked() -> None:
    outcome = judge(said(Claim.DONE), None, WORK.evolve(committed_by_maestro=True), exit_code=0)
    assert isinstance(outcome, Succeeded)
    assert outcome.committed_by_maestro
