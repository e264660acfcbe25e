"""What follows when a subagent ends that was given a task. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from maestro.model.report import Report

SUMMARY_LIMIT = 2_000

NUDGES = 2
"""At most so often is one subagent sent back, whatever the session says of the stop: never an endless loop."""


REPORTED_FOR_IT = "the subagent stopped without reporting; this report was made for it"


class Ended(NamedTuple):
    """What is known of the subagent's end."""

    said: str  # its last message
    error: str = ""  # what broke it off; empty when it stopped by itself
    has_reported: bool = False
    is_over: bool = False  # the attempt has ended: nobody takes a report
    may_go_back: bool = False  # it is about to stop, and can be told to go on


def decide(ended: Ended, has_work: Callable[[], bool], report_command: str) -> Report | str | None:
    """A report to deliver for it, words that send it back, or None where nothing is missing.

    `has_work` is asked only where it matters. It tells of commits or changes in the workspace.
    """
    if ended.has_reported or ended.is_over:
        return None
    said = ended.said.strip()[:SUMMARY_LIMIT]
    if ended.error:
        return Report(status="failed", summary=f"the subagent broke off: {ended.error.strip()[:SUMMARY_LIMIT]}")
    if has_work():
        return Report(status="done", summary=said or "the subagent ended without a word", notes=(REPORTED_FOR_IT,))
    if ended.may_go_back:
        return (
            "You have not reported, and your workspace holds no commit and no change. Finish the task there and "
            f"commit, or say why it cannot be done. Your last act is this command: {report_command}"
        )
    return Report(status="failed", summary=f"ended without a report and without work; it said: {said or 'nothing'}")
