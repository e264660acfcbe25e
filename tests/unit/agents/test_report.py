from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.agents.report import BadReport, Report, parse_report, read_report


def test_a_whole_report(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"status": "done", "summary": "s", "confidence": 0.9, "notes": ["a"], "extra": 1}))
    assert read_report(file) == Report(status="done", summary="s", confidence=0.9, notes=("a",))


def test_only_the_status_is_needed_and_a_whole_number_is_a_number() -> None:
    assert parse_report(b'\xef\xbb\xbf{"status": "no_change"}') == Report(status="no_change")
    assert parse_report(b'{"status": "failed", "confidence": 1}') == Report(status="failed", confidence=1.0)
    assert parse_report(b'{"status": "blocked", "confidence": null}') == Report(status="blocked")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"done", "is not JSON"),
        (b'{"status": "do', "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'["done"]', "is not a JSON object"),
        (b"{}", "status: field required"),
        (b'{"status": "DONE"}', "status: input should be 'done', 'failed', 'blocked' or 'no_change'"),
        (b'{"status": "done", "confidence": "high"}', "confidence: input should be a valid number"),
        (b'{"status": "done", "confidence": 90}', "confidence: input should be less than or equal to 1"),
        (b'{"status": "done", "confidence": NaN}', "confidence:"),
        (b'{"status": "done", "confidence": true}', "confidence: input should be a valid number"),
        (b'{"status": "done", "notes": "one"}', "notes: input should be a valid tuple"),
        (b'{"status": "done", "notes": ["a", 1]}', "notes.1: input should be a valid string"),
        (b'{"status": "done", "summary": 3}', "summary: input should be a valid string"),
    ],
)
def test_a_bad_report_says_what_is_wrong(content: bytes, said: str) -> None:
    report = parse_report(content)
    assert isinstance(report, BadReport)
    assert said in report.reason


def test_what_is_not_a_file_of_moderate_size_is_named(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert read_report(file) is None
    file.mkdir()
    assert read_report(file) == BadReport(reason="the report is not a regular file")
    file.rmdir()
    os.mkfifo(file)
    assert read_report(file) == BadReport(reason="the report is not a regular file")
    file.unlink()
    file.write_bytes(b" " * (2**20 + 1))
    assert read_report(file) == BadReport(reason="the report file is larger than 1 MiB")
    file.unlink()
    file.symlink_to(file)
    assert isinstance(read_report(file), BadReport)
    file.unlink()
    other = tmp_path / "other.json"
    other.write_text('{"status": "done"}')
    file.symlink_to(other)
    assert isinstance(read_report(file), BadReport), "what a link leads to may be nothing that the agent could read"
