"""Done is judged by evidence (A-3): a pure function from what was said and what is there to an outcome.

What is said: the exit code and the final event (the adapter's Verdict) and the report file. What is there: the
commits in the workspace. Each of the first three is known to lie; commits are not taken for an end either, since
an agent that was killed half-way has commits too.
"""

from __future__ import annotations

from maestro.agents.base import Claim, Verdict
from maestro.model.outcome import (
    AgentBlocked,
    Failed,
    FailureKind,
    LimitHit,
    Lost,
    Outcome,
    Succeeded,
)
from maestro.model.report import BadReport, Report
from maestro.workspaces.base import WorkEvidence


def judge(
    verdict: Verdict,
    report: Report | BadReport | None,
    evidence: WorkEvidence,
    *,
    exit_code: int | None,
    output_tail: str = "",
) -> Outcome:
    """The outcome of an attempt whose process ended by itself, or was stopped after its final event."""
    usage = verdict.usage
    said = report if isinstance(report, Report) else None
    if verdict.claim is Claim.LIMIT:
        return LimitHit(reason=verdict.reason, reset_at=verdict.reset_at, usage=usage)
    if evidence.damage is not None:
        return _failed(FailureKind.WORKSPACE, evidence.damage, verdict, output_tail)
    if said is not None and said.status == "blocked":
        return AgentBlocked(reason=said.summary or "it gives no reason", usage=usage)
    if said is not None and said.status == "failed":
        return _failed(FailureKind.REPORTED, said.summary or "the agent reports failure", verdict, output_tail)
    if exit_code is None and said is None:
        return Lost(reason=verdict.reason or "its process was killed", output_tail=output_tail, usage=usage)
    if verdict.claim is Claim.FAILED:
        failed = _failed(_kind_of_failure(exit_code), verdict.reason, verdict, output_tail)
        return failed.evolve(retryable=verdict.retryable)
    if verdict.claim is Claim.BUDGET and (said is None or said.status != "done"):
        return _failed(FailureKind.BUDGET, verdict.reason, verdict, output_tail).evolve(retryable=False)
    if verdict.claim is Claim.SILENT and (said is None or said.status != "done"):
        reason = verdict.reason or "it ended without its final event"
        return _failed(FailureKind.AGENT_ERROR, reason, verdict, output_tail)
    return _by_commits(verdict, report, said, evidence, output_tail)


def _by_commits(
    verdict: Verdict, report: Report | BadReport | None, said: Report | None, evidence: WorkEvidence, output_tail: str
) -> Outcome:
    """The agent says done, in one way or another: is there work?"""
    if evidence.new_commits == 0 or evidence.tip is None:
        if said is not None and said.status == "no_change":
            return _no_change(said, verdict, output_tail)
        if verdict.claim is Claim.DENIED:
            return _failed(FailureKind.DENIED, verdict.reason, verdict, output_tail)
        return _failed(
            FailureKind.NO_COMMIT,
            _with_remarks("it ended without a new commit", report, evidence),
            verdict,
            output_tail,
        )
    if not evidence.changed_paths:
        return _failed(FailureKind.EMPTY_DIFF, "its commits change nothing", verdict, output_tail)
    notes = [*(said.notes if said else ()), *evidence.remarks]
    if isinstance(report, BadReport):
        notes.append(f"its report was not usable: {report.reason}")
    if verdict.claim is Claim.DENIED:
        notes.append(verdict.reason)
    return Succeeded(
        commit=evidence.tip,
        summary=(said.summary if said and said.summary else verdict.summary)[:4000],
        confidence=said.confidence if said else None,
        notes=tuple(notes),
        discovered=said.discovered if said else (),
        committed_by_maestro=evidence.committed_by_maestro,
        usage=verdict.usage,
    )


def _no_change(said: Report, verdict: Verdict, output_tail: str) -> Outcome:
    if not said.summary.strip():
        return _failed(FailureKind.REPORTED, "it reports no_change without a reason", verdict, output_tail)
    return Succeeded(
        commit=None,
        no_change=True,
        summary=said.summary,
        confidence=said.confidence,
        notes=said.notes,
        discovered=said.discovered,
        usage=verdict.usage,
    )


def _kind_of_failure(exit_code: int | None) -> FailureKind:
    if exit_code in (126, 127):
        return FailureKind.SPAWN
    return FailureKind.EXIT if exit_code else FailureKind.AGENT_ERROR


def _failed(kind: FailureKind, reason: str, verdict: Verdict, output_tail: str) -> Failed:
    return Failed(failure=kind, reason=reason, output_tail=output_tail, usage=verdict.usage)


def _with_remarks(reason: str, report: Report | BadReport | None, evidence: WorkEvidence) -> str:
    more = list(evidence.remarks)
    if isinstance(report, BadReport):
        more.append(f"its report was not usable: {report.reason}")
    return "; ".join([reason, *more])
