"""What a test command's end means: four shapes, only one of them a pass (M-4); pure.

The rules, first hit wins:

exit 126, 127, or a known sentence about a missing program    not judged: missing runner
a known sentence about a missing target or script             not judged: no command
a known sentence about there being no test                    not judged: none collected
counts are known, nothing ran, exit 0 or pytest's 5           not judged: none collected
exit 0, and the report names failing tests                    red: the command hides its failures
exit 0                                                        passed
pytest refuses an option ("unrecognized arguments")           not judged: missing runner (a plugin)
anything else                                                 red
"""

from __future__ import annotations

import re

from maestro.integration.closing_lines import count_tests, failing_tests, tail
from maestro.integration.results import Report
from maestro.model.gate import GatePassed, GateRed, GateResult, GateUnjudged, NotJudged, TestTotals

_MISSING = (
    re.compile(r"^.*: No module named '?(?:pytest|tox|nox|nose2|green|coverage)'?$", re.MULTILINE),
    re.compile(r"^make(?:\[\d+\])?: \*\*\* .*\bError 12[67]$", re.MULTILINE),
)
_NO_COMMAND = (
    re.compile(r"^npm (?:error|ERR!) Missing script: .*$", re.MULTILINE),
    re.compile(r"^npm (?:error|ERR!) enoent Could not read package\.json.*$", re.MULTILINE),
    re.compile(r"^.*ERR_PNPM_NO_SCRIPT.*$", re.MULTILINE),
    re.compile(r'^error Command "test" not found\..*$', re.MULTILINE),
    re.compile(r"^make: \*\*\* No rule to make target '[^']*'\.(?: +Stop\.)?$", re.MULTILINE),  # not "needed by"
    re.compile(r"^make: \*\*\* No targets specified and no makefile found\..*$", re.MULTILINE),
    re.compile(r"^Task 'test' not found in .*$", re.MULTILINE),
)
_NO_TESTS = (
    re.compile(r"^Error: no test specified$", re.MULTILINE),  # what `npm init` writes
    re.compile(r"^No tests found, exiting with code 1$", re.MULTILINE),  # jest
    re.compile(r"^Error: No test files found.*$", re.MULTILINE),  # mocha
)
_REFUSED_OPTION = re.compile(r"^.*error: unrecognized arguments: .*$", re.MULTILINE)
_PYTEST_NONE = 5  # pytest's exit code for "no tests were collected", and unittest's since Python 3.12


def judge_exit(code: int, output: str, report: Report | None, seconds: float) -> GateResult:
    """The result of a command that ended with `code`, printed `output` (colours removed) and perhaps wrote a report."""

    def unjudged(why: NotJudged, reason: str) -> GateUnjudged:
        return GateUnjudged(why=why, reason=reason, seconds=seconds, output_tail=tail(output))

    totals = report.totals if report is not None else count_tests(output)
    if code != 0 and (stopped := _could_not_start(code, output)) is not None:
        return unjudged(*stopped)
    if totals is not None and (nothing := _nothing_ran(code, output, totals)):
        return unjudged(NotJudged.NONE_COLLECTED, nothing)
    failing = (report.failing if report is not None else ()) or (failing_tests(output) if code != 0 else ())
    if code == 0 and not failing:
        return GatePassed(seconds=seconds, totals=totals)
    if code != 0 and not failing and (refused := _REFUSED_OPTION.search(output)):
        return unjudged(NotJudged.MISSING_RUNNER, f"a plugin of the test runner is missing: {refused[0].strip()}")
    return GateRed(seconds=seconds, failing=failing, output_tail=tail(output), exit_code=code, totals=totals)


def _could_not_start(code: int, output: str) -> tuple[NotJudged, str] | None:
    if code in (126, 127):
        last = tail(output).strip().splitlines()[-1:] or [f"exit code {code}"]
        return NotJudged.MISSING_RUNNER, f"the test command could not be started: {last[0].strip()}"
    for pattern in _MISSING:
        if found := pattern.search(output):
            return NotJudged.MISSING_RUNNER, f"the test runner is missing: {found[0].strip()}"
    for pattern in _NO_COMMAND:
        if found := pattern.search(output):
            return NotJudged.NO_COMMAND, f"there is no such test command: {found[0].strip()}"
    for pattern in _NO_TESTS:
        if found := pattern.search(output):
            return NotJudged.NONE_COLLECTED, f"there is no test: {found[0].strip()}"
    return None


def _nothing_ran(code: int, output: str, totals: TestTotals) -> str:
    """Why this is no test run at all; empty where tests ran, or where the end has a worse reason than that."""
    if totals.passed or totals.failed:
        return ""
    ended_so = code in (0, _PYTEST_NONE) or re.search(r"\bError 5$|^no packages to test$", output, re.MULTILINE)
    if not ended_so:
        return ""
    if totals.skipped:
        return f"no test ran: all {totals.skipped} were skipped"
    return "the test command found no tests to run"
