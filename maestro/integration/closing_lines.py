"""Reads counts and failing tests from what test runners print, where there is no report file; pure.

Known are pytest, unittest, TAP and node's own runner, jest, mocha, cargo and go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from maestro.model.gate import TestTotals

MAX_NAMES = 50
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(raw: bytes) -> str:
    """Output as text without colours."""
    return _ANSI.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n")


def count_tests(output: str) -> TestTotals | None:
    """Sum over all runners recognised in the output; None where none is. All zero: runners ran, tests did not.

    go prints no counts: a package that ran counts as one.
    """
    found = [totals for reader in _COUNTERS for totals in reader(output)]
    if not found:
        return None
    return TestTotals(
        passed=sum(totals.passed for totals in found),
        failed=sum(totals.failed for totals in found),
        skipped=sum(totals.skipped for totals in found),
    )


def failing_tests(output: str) -> tuple[str, ...]:
    """Names of the failing tests in the order of the output, once each, at most MAX_NAMES."""
    names = dict.fromkeys(name.strip() for reader in _NAMERS for name in reader(output))
    return tuple(names)[:MAX_NAMES]


def tail(output: str, limit_bytes: int = 4096) -> str:
    """The last lines that fit, whole ones unless a single line is longer than the limit."""
    raw = output.strip("\n").encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return raw.decode()
    cut = raw[-limit_bytes:]
    _, newline, rest = cut.partition(b"\n")
    return (rest if newline else cut).decode("utf-8", "ignore")


def _pytest_counts(output: str) -> Iterator[TestTotals]:
    if re.search(r"^=*\s*no tests (?:ran|collected)", output, re.MULTILINE):
        yield TestTotals()
    for line in re.findall(r"^=*\s*((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s\b", output, re.MULTILINE):
        number = {word.rstrip("s"): int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", line)}
        yield TestTotals(
            passed=number.get("passed", 0) + number.get("xfailed", 0) + number.get("xpassed", 0),
            failed=number.get("failed", 0) + number.get("error", 0),
            skipped=number.get("skipped", 0),
        )


def _unittest_counts(output: str) -> Iterator[TestTotals]:
    for run, verdict in re.findall(
        r"^Ran (\d+) tests? in [\d.]+s\n+((?:OK|FAILED|NO TESTS RAN).*)", output, re.MULTILINE
    ):
        number = {word: int(count) for word, count in re.findall(r"(failures|errors|skipped)=(\d+)", verdict)}
        failed, skipped = number.get("failures", 0) + number.get("errors", 0), number.get("skipped", 0)
        yield TestTotals(passed=max(0, int(run) - failed - skipped), failed=failed, skipped=skipped)


def _node_counts(output: str) -> Iterator[TestTotals]:
    blocks = re.findall(
        r"^(?:#|ℹ) tests (?:\d+)\n(?:(?:#|ℹ) suites \d+\n)?(?:#|ℹ) pass (\d+)\n(?:#|ℹ) fail (\d+)\n"
        r"(?:#|ℹ) cancelled (\d+)\n(?:#|ℹ) skipped (\d+)",
        output,
        re.MULTILINE,
    )
    for passed, failed, cancelled, skipped in blocks:
        yield TestTotals(passed=int(passed), failed=int(failed) + int(cancelled), skipped=int(skipped))


def _jest_counts(output: str) -> Iterator[TestTotals]:
    for line in re.findall(r"^Tests: +(.*\d+ total)", output, re.MULTILINE):
        number = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped)", line)}
        yield TestTotals(
            passed=number.get("passed", 0), failed=number.get("failed", 0), skipped=number.get("skipped", 0)
        )


def _mocha_counts(output: str) -> Iterator[TestTotals]:
    for passed, rest in re.findall(
        r"^ +(\d+) passing \(.*\)\n((?: +\d+ (?:pending|failing)\n?)*)", output, re.MULTILINE
    ):
        number = {word: int(count) for count, word in re.findall(r"(\d+) (pending|failing)", rest)}
        yield TestTotals(passed=int(passed), failed=number.get("failing", 0), skipped=number.get("pending", 0))


def _cargo_counts(output: str) -> Iterator[TestTotals]:
    for passed, failed, ignored in re.findall(
        r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", output, re.MULTILINE
    ):
        yield TestTotals(passed=int(passed), failed=int(failed), skipped=int(ignored))


def _go_counts(output: str) -> Iterator[TestTotals]:
    if re.search(r"^no packages to test$", output, re.MULTILINE):
        yield TestTotals()
    for status, rest in re.findall(r"^(ok  |FAIL|\?   )\t(\S+.*)$", output, re.MULTILINE):
        if status == "FAIL":
            yield TestTotals(failed=1)
        else:
            ran = status == "ok  " and "[no tests to run]" not in rest
            yield TestTotals(passed=int(ran))


_COUNTERS: tuple[Callable[[str], Iterator[TestTotals]], ...] = (
    _pytest_counts, _unittest_counts, _node_counts, _jest_counts, _mocha_counts, _cargo_counts, _go_counts,
)  # fmt: skip


def _pytest_names(output: str) -> Iterator[str]:
    _, found, summary = output.rpartition("short test summary info")
    if found:
        yield from re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", summary, re.MULTILINE)


def _unittest_names(output: str) -> Iterator[str]:
    for name, owner in re.findall(r"^={20,}\n(?:FAIL|ERROR): (\S+) \(([^)\s]+)\)", output, re.MULTILINE):
        yield owner if owner.endswith(f".{name}") else f"{owner}.{name}"  # Python 3.11 names the test in both


def _tap_names(output: str) -> Iterator[str]:
    for name in re.findall(r"^\s*not ok \d+(?: -)? (.+)$", output, re.MULTILINE):
        if not re.search(r"# (?:TODO|SKIP)\b", name, re.IGNORECASE):
            yield name
    yield from re.findall(r"^\s*✖ (.+) \([\d.]+ms\)$", output, re.MULTILINE)


def _jest_names(output: str) -> Iterator[str]:
    if re.search(r"^Tests: +.*total", output, re.MULTILINE):
        yield from re.findall(r"^  ● (?!Console$)(.+)$", output, re.MULTILINE)


def _mocha_names(output: str) -> Iterator[str]:
    _, found, section = output.partition(" failing\n")
    if found:
        for titles in re.findall(r"^  \d+\) ((?:.+\n)*?.+):$", section, re.MULTILINE):
            yield " › ".join(title.strip() for title in titles.splitlines())


def _cargo_names(output: str) -> Iterator[str]:
    yield from re.findall(r"^test (.+) \.\.\. FAILED$", output, re.MULTILINE)


def _go_names(output: str) -> Iterator[str]:
    yield from re.findall(r"^\s*--- FAIL: (\S+)", output, re.MULTILINE)


_NAMERS: tuple[Callable[[str], Iterator[str]], ...] = (
    _pytest_names, _unittest_names, _tap_names, _jest_names, _mocha_names, _cargo_names, _go_names,
)  # fmt: skip
