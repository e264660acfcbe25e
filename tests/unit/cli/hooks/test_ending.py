"""What follows when a subagent ends that was given a task."""

from __future__ import annotations

from maestro.cli.hooks.ending import SUMMARY_LIMIT, Ended, decide
from maestro.model.report import Report


def never() -> bool:
    raise AssertionError("git was asked for nothing")


def test_one_that_has_reported_or_whose_attempt_is_over_is_left_alone() -> None:
    assert decide(Ended("done", has_reported=True), never, "cmd") is None
    assert decide(Ended("done", is_over=True, error="x", may_go_back=True), never, "cmd") is None


def test_work_without_a_report_is_reported_with_its_last_words() -> None:
    report = decide(Ended(" made it ", may_go_back=True), lambda: True, "cmd")
    assert isinstance(report, Report)
    assert (report.status, report.summary) == ("done", "made it")
    assert "made for it" in report.notes[0]
    long = decide(Ended("x" * 9999), lambda: True, "cmd")
    assert isinstance(long, Report)
    assert len(long.summary) == SUMMARY_LIMIT


def test_neither_work_nor_report_sends_it_back_and_is_a_failure_when_it_cannot_go_back() -> None:
    words = decide(Ended("all done!", may_go_back=True), lambda: False, "`maestro report --task a`")
    assert isinstance(words, str)
    assert "`maestro report --task a`" in words
    report = decide(Ended("all done!"), lambda: False, "cmd")
    assert isinstance(report, Report)
    assert report.status == "failed"
    assert report.summary == "ended without a report and without work; it said: all done!"


def test_one_that_broke_off_has_failed_whatever_it_left() -> None:
    report = decide(Ended("", error="API Error: 400 odd", may_go_back=True), never, "cmd")
    assert isinstance(report, Report)
    assert (report.status, report.summary) == ("failed", "the subagent broke off: API Error: 400 odd")
