from __future__ import annotations

from pathlib import Path

import pytest

from maestro.integration.results import MAX_BYTES, Report, UnreadableReport, aggregate, parse_junit, read_junit
from maestro.model.gate import TestTotals

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" tests="7">
<testcase classname="" name="test_a" file="test_a.py"><error message="c">x</error></testcase>
<testcase classname="sub.test_c" name="test_t" file="sub/test_c.py" time="0.1"><failure>t</failure></testcase>
<testcase classname="sub.test_c" name="test_t" file="sub/test_c.py"><error message="teardown">t</error></testcase>
<testcase classname="sub.test_c" name="test_p[x y/z]" file="sub/test_c.py" time="0.2"><failure>t</failure></testcase>
<testcase classname="test_b.TestX.TestY" name="test_q" file="test_b.py" time="1,000.5"><failure>t</failure></testcase>
<testcase classname="test_b" name="test_s" file="test_b.py" time="bad"><skipped/></testcase>
<testcase classname="test_b" name="test_ok" file="test_b.py"><system-out>words</system-out></testcase>
</testsuite></testsuites>"""


def test_pytests_report_gives_names_that_pytest_can_be_given() -> None:
    report = parse_junit(PYTEST)
    assert report.failing == (
        "test_a.py",
        "sub/test_c.py::test_t",
        "sub/test_c.py::test_p[x y/z]",
        "test_b.py::TestX::TestY::test_q",
    )
    assert report.totals == TestTotals(passed=1, failed=4, skipped=1)
    assert report.seconds == pytest.approx(1000.8)
    assert report.ran == 5


def test_other_runners_name_class_and_test() -> None:
    report = parse_junit(
        b'\xef\xbb\xbf<testsuite><testcase classname="com.x.ATest" name="adds"><error/></testcase>'
        b'<testcase name="alone"><failure/></testcase></testsuite>'
    )
    assert report.failing == ("com.x.ATest::adds", "alone")


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite><testcase name="&a;"/></testsuite>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><testsuite/>'.encode("utf-16"),
        b"<testsuite><testcase>",
        b"",
        b"\x00\xff\xfe",
    ],
    ids=["entities", "hidden in UTF-16", "torn", "empty", "binary"],
)
def test_a_report_that_cannot_be_trusted_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableReport):
        parse_junit(content)


def test_a_huge_report_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UnreadableReport, match="larger than 32 MiB"):
        read_junit(path)


def test_a_missing_report_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UnreadableReport, match=r"none\.xml cannot be read"):
        read_junit(tmp_path / "none.xml")


def test_reports_add_up() -> None:
    one = Report(totals=TestTotals(passed=1, failed=1), failing=("a",), seconds=1.0)
    two = Report(totals=TestTotals(passed=2, failed=2, skipped=3), failing=("a", "b"), seconds=0.5)
    assert aggregate([one, two]) == Report(
        totals=TestTotals(passed=3, failed=3, skipped=3), failing=("a", "b"), seconds=1.5
    )
    assert aggregate([]) == Report()
