"""What is believed of the results that an agent's own tests left (I-7, M-6)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from maestro.engine.testruns import MOST_RUNS, read_test_runs
from maestro.model.events import AttemptTested
from maestro.model.gate import TestTotals
from maestro.testing.story import at

JUNIT = """<testsuite><testcase classname="t" name="good" time="0.1"/>
<testcase classname="t" name="bad" time="0.1"><failure/></testcase></testsuite>"""


def left(attempt: Path, number: int, said: Any, xml: str | None = None) -> None:
    folder = attempt / "tests"
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.json").write_text(said if isinstance(said, str) else json.dumps(said))
    if xml is not None:
        (folder / f"{number}.xml").write_text(xml)


def read(attempt: Path) -> list[AttemptTested]:
    return read_test_runs(attempt, task="a", attempt_id="r/a/1", at=at(1))


def test_each_run_of_the_tests_with_its_results_in_their_order(tmp_path: Path) -> None:
    left(tmp_path, 10, {"exit_code": 0, "seconds": 2, "waited_seconds": 0.0004})
    left(tmp_path, 2, {"exit_code": 1, "seconds": 1.5, "waited_seconds": 3.25}, JUNIT)
    first, second = read(tmp_path)
    assert (first.number, first.exit_code, first.seconds, first.waited_seconds) == (2, 1, 1.5, 3.25)
    assert first.totals == TestTotals(passed=1, failed=1)
    assert first.failing == ("t::bad",)
    assert (second.number, second.exit_code, second.waited_seconds, second.totals) == (10, 0, 0.0, None)


def test_an_attempt_that_tested_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_a_lock_that_was_killed_has_no_exit_code(tmp_path: Path) -> None:
    left(tmp_path, 1, {"exit_code": None, "seconds": None, "waited_seconds": 1})
    assert [(one.exit_code, one.seconds) for one in read(tmp_path)] == [(137, 0.0)]


@pytest.mark.parametrize("said", ["{", "[]", "\x00", "", "[" * 90_000])
def test_what_is_no_record_is_left_out(tmp_path: Path, said: str) -> None:
    left(tmp_path, 1, said)
    left(tmp_path, 2, {"exit_code": 0})
    assert [one.number for one in read(tmp_path)] == [2]


@pytest.mark.parametrize("seconds", [-1, "1", True, None, [1], float("inf"), float("nan")])
def test_odd_times_count_as_none(tmp_path: Path, seconds: Any) -> None:
    left(tmp_path, 1, {"exit_code": 0, "seconds": seconds, "waited_seconds": seconds})
    assert [(one.seconds, one.waited_seconds) for one in read(tmp_path)] == [(0.0, 0.0)]


def test_nobody_waits_for_a_pipe_that_an_agent_put_there(tmp_path: Path) -> None:
    left(tmp_path, 1, {"exit_code": 0})
    os.mkfifo(tmp_path / "tests" / "2.json")
    os.mkfifo(tmp_path / "tests" / "1.xml")
    assert [(one.number, one.totals) for one in read(tmp_path)] == [(1, None)]


def test_no_link_that_an_agent_put_there_is_followed(tmp_path: Path) -> None:
    left(tmp_path, 1, {"exit_code": 0})
    for name, content in (("secret.json", '{"exit_code": 3}'), ("secret.xml", JUNIT)):
        (tmp_path / name).write_text(content)
    (tmp_path / "tests" / "1.xml").symlink_to(tmp_path / "secret.xml")
    (tmp_path / "tests" / "2.json").symlink_to(tmp_path / "secret.json")
    assert [(one.number, one.totals) for one in read(tmp_path)] == [(1, None)]


def test_folders_stay_where_files_should_be_and_leave_nothing_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    (tmp_path / "tests" / "1.json").mkdir(parents=True)
    assert read(tmp_path) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**30])
def test_numbers_that_no_test_run_has_end_nothing(tmp_path: Path, number: int) -> None:
    left(tmp_path, 1, {"exit_code": number, "seconds": number})
    assert [(one.exit_code, one.seconds <= 10**9) for one in read(tmp_path)] == [(137, True)]


def test_a_name_of_a_test_is_no_place_for_a_book(tmp_path: Path) -> None:
    left(tmp_path, 1, {"exit_code": 1}, f'<a><testcase name="{"x" * 10_000}"><failure/></testcase></a>')
    assert [len(name) for one in read(tmp_path) for name in one.failing] == [500]


def test_a_report_that_declares_entities_is_none(tmp_path: Path) -> None:
    left(tmp_path, 1, {"exit_code": 1}, '<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>')
    assert [(one.exit_code, one.totals) for one in read(tmp_path)] == [(1, None)]


def test_a_flood_is_cut_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    for number in range(1, MOST_RUNS + 3):
        left(tmp_path, number, {"exit_code": 0})
    assert [one.number for one in read(tmp_path)] == list(range(3, MOST_RUNS + 3))
