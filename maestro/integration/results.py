"""Test results from JUnit XML (M-6).

The format has no standard; read is what pytest, surefire, gradle, jest-junit and node agree on: `testcase`
elements with `classname`, `name`, `time`, sometimes `file`, holding `failure`, `error` or `skipped`. The file
comes from tests an agent wrote, so it is not trusted: its size is bounded and a DOCTYPE (entities) is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from maestro.errors import MaestroError
from maestro.model.gate import TestTotals
from maestro.model.record import Record

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_BYTES = 32 * 1024 * 1024


class UnreadableReport(MaestroError):
    """A JUnit file that is not one, is too large, or holds what no test report needs."""


class Report(Record):
    """What one or several JUnit files say."""

    totals: TestTotals = TestTotals()
    failing: tuple[str, ...] = ()  # in the order of the file, once each
    seconds: float = 0.0  # sum of the test cases

    @property
    def ran(self) -> int:
        """Tests that ran: skipped ones did not."""
        return self.totals.passed + self.totals.failed


def read_junit(path: Path) -> Report:
    """The report in a file; UnreadableReport where it cannot be trusted or parsed."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise UnreadableReport(f"the test report {path} is larger than {MAX_BYTES // 1024 // 1024} MiB")
            return parse_junit(file.read(MAX_BYTES))
    except OSError as error:
        raise UnreadableReport(f"the test report {path} cannot be read: {error.strerror}") from error


def parse_junit(content: bytes) -> Report:
    """The report in bytes of XML."""
    try:
        # decoded here, so that a DOCTYPE cannot hide in another encoding
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableReport("the test report is not UTF-8") from error
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UnreadableReport("the test report declares a document type, which no test report needs")
    from xml.etree import ElementTree as ET

    try:
        root = ET.fromstring(text)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise UnreadableReport(f"the test report is not well-formed XML: {error}") from error
    passed, failing, skipped, seconds = 0, [], 0, 0.0
    for case in root.iter("testcase"):
        seconds += _seconds(case.get("time", ""))
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failing.append(_name(case))
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    names = tuple(dict.fromkeys(failing))
    # one test may have two entries, a failure and an error of its teardown: it failed once
    return Report(totals=TestTotals(passed=passed, failed=len(names), skipped=skipped), failing=names, seconds=seconds)


def aggregate(reports: Iterable[Report]) -> Report:
    """Several reports as one: of the files of one gate, or of the gates of a task, group or run."""
    every = list(reports)
    return Report(
        totals=TestTotals(
            passed=sum(report.totals.passed for report in every),
            failed=sum(report.totals.failed for report in every),
            skipped=sum(report.totals.skipped for report in every),
        ),
        failing=tuple(dict.fromkeys(name for report in every for name in report.failing)),
        seconds=sum(report.seconds for report in every),
    )


def _name(case: Element) -> str:
    """`tests/test_a.py::TestX::test_b` where the file is told (a name pytest can be given), else `class::test`."""
    name, owner, file = case.get("name", ""), case.get("classname", ""), case.get("file", "")
    if not file:
        return f"{owner}::{name}" if owner else name
    module = file.removesuffix(".py").replace("/", ".")
    if not owner and name == module:
        return file  # pytest: the file could not even be collected
    classes = owner.removeprefix(module).strip(".") if owner.startswith(module) else ""
    return "::".join([file, *filter(None, classes.split(".")), name])


def _seconds(value: str) -> float:
    try:
        return float(value.replace(",", ""))
    except ValueError:
        return 0.0
