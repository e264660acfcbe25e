"""Outputs are shortened captures of pytest 9.2, unittest of Python 3.11 and 3.13, node 20, npm, pnpm 9, yarn 1,
jest 29, mocha 10, cargo 1.95, go 1.26 and GNU make 4.3; gradle's is after its documentation."""

from __future__ import annotations

import pytest

from maestro.integration.closing_lines import count_tests, failing_tests, plain, tail
from maestro.integration.judgement import judge_exit
from maestro.integration.results import Report
from maestro.model.gate import GatePassed, GateRed, GateUnjudged, NotJudged, TestTotals

GREEN = {
    "pytest": ("== 3 passed, 1 skipped, 1 xfailed, 2 warnings in 0.12s ==\n", TestTotals(passed=4, skipped=1)),
    "pytest -q": ("..\n2 passed in 0.02s\n", TestTotals(passed=2)),
    "unittest": ("Ran 3 tests in 0.001s\n\nOK (skipped=1)\n", TestTotals(passed=2, skipped=1)),
    "node, tap": (
        "1..2\n# tests 2\n# suites 0\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n",
        TestTotals(passed=2),
    ),
    "node, spec": (
        "✔ adds (0.4ms)\nℹ tests 1\nℹ suites 0\nℹ pass 1\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\n",
        TestTotals(passed=1),
    ),
    "jest": (
        "Test Suites: 1 passed, 1 total\nTests:       1 skipped, 2 passed, 3 total\n",
        TestTotals(passed=2, skipped=1),
    ),
    "mocha": ("\n  3 passing (5ms)\n  1 pending\n", TestTotals(passed=3, skipped=1)),
    "cargo": (
        (
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
        ),
        TestTotals(passed=2, skipped=1),
    ),
    "go": ("ok  \tx\t(cached)\n?   \tx/y\t[no test files]\nok  \tx/z\t0.003s\n", TestTotals(passed=2)),
    "own script": ("all fine\n", None),
    "silent": ("", None),
}


@pytest.mark.parametrize(("output", "totals"), GREEN.values(), ids=GREEN)
def test_green(output: str, totals: TestTotals | None) -> None:
    assert judge_exit(0, output, None, 1.5) == GatePassed(seconds=1.5, totals=totals)


RED = {
    "pytest": (
        1,
        (
            "FAILED not/in/summary\n=== short test summary info ===\nFAILED a.py::test_p[x y] - assert 0\n"
            "FAILED b.py::TestX::test_q\nERROR c.py\n== 2 failed, 1 passed, 1 error in 0.02s ==\n"
        ),
        ("a.py::test_p[x y]", "b.py::TestX::test_q", "c.py"),
    ),
    "pytest, collection": (
        2,
        (
            "=== short test summary info ===\nERROR test_a.py\n!!! Interrupted: 1 error during collection !!!\n"
            "1 error in 0.09s\n"
        ),
        ("test_a.py",),
    ),
    "pytest, internal error": (3, "INTERNALERROR> KeyError\n\nno tests ran in 0.01s\n", ()),
    "pytest, folder gone": (4, "no tests ran in 0.00s\nERROR: file or directory not found: tests\n", ()),
    "unittest": (
        1,
        (
            "======================================================================\nFAIL: test_a (m.C.test_a)\n"
            "----\n======================================================================\nERROR: test_b (m.C)\n----\n"
            "Ran 2 tests in 0.001s\n\nFAILED (failures=1, errors=1)\n"
        ),
        ("m.C.test_a", "m.C.test_b"),
    ),
    "node, tap": (
        1,
        (
            "ok 1 - adds\nnot ok 2 - subtracts\nnot ok 3 - later # TODO\n# tests 3\n# suites 0\n# pass 1\n# fail 1\n"
            "# cancelled 0\n# skipped 0\n# todo 1\n"
        ),
        ("subtracts",),
    ),
    "node, spec": (
        1,
        "✖ subtracts two (0.4ms)\nℹ tests 1\n✖ failing tests:\n✖ subtracts two (0.4ms)\n",
        ("subtracts two",),
    ),
    "jest": (1, "  ● Console\n\n  ● sums › adds\n\nTests:       1 failed, 1 total\n", ("sums › adds",)),
    "mocha": (
        2,
        (
            "\n  1 passing (3ms)\n  1 pending\n  2 failing\n\n  1) sums\n       subs:\n     Error: x\n\n"
            "  2) alone:\n     Error: y\n"
        ),
        ("sums › subs", "alone"),
    ),
    "cargo": (
        101,
        (
            "test tests::ok ... ok\ntest tests::bad ... FAILED\n"
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.09s\n"
        ),
        ("tests::bad",),
    ),
    "go": (
        1,
        "--- FAIL: TestB (0.00s)\n    --- FAIL: TestB/sub_one (0.00s)\nFAIL\nFAIL\tx\t0.002s\n",
        ("TestB", "TestB/sub_one"),
    ),
    "make, a build": (2, "make: *** No rule to make target 'foo.c', needed by 'test'.  Stop.\n", ()),
    "make": (2, "make: *** [Makefile:2: test] Error 1\n", ()),
    "segfault": (139, "Segmentation fault\n", ()),
    "an import of its own": (1, "ModuleNotFoundError: No module named 'app'\n", ()),
    "lint fails, tests do not run": (1, "E501 line too long\n", ()),
}


@pytest.mark.parametrize(("code", "output", "failing"), RED.values(), ids=RED)
def test_red(code: int, output: str, failing: tuple[str, ...]) -> None:
    result = judge_exit(code, output, None, 1.0)
    assert isinstance(result, GateRed)
    assert result.failing == failing
    assert result.exit_code == code
    assert result.output_tail == output.strip("\n")


NONE, MISSING, NO_COMMAND = NotJudged.NONE_COLLECTED, NotJudged.MISSING_RUNNER, NotJudged.NO_COMMAND
UNJUDGED = {
    "pytest": (5, "no tests ran in 0.00s\n", NONE),
    "pytest, deselected": (5, "12 deselected in 0.10s\n", NONE),
    "pytest, skipped": (0, "3 skipped in 0.10s\n", NONE),
    "pytest below make": (2, "no tests ran in 0.00s\nmake: *** [Makefile:2: test] Error 5\n", NONE),
    "unittest 3.11": (0, "Ran 0 tests in 0.000s\n\nOK\n", NONE),
    "unittest 3.12": (5, "Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", NONE),
    "node": (0, "1..0\n# tests 0\n# suites 0\n# pass 0\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n", NONE),
    "mocha": (0, "\n  0 passing (1ms)\n", NONE),
    "mocha, no file": (1, 'Error: No test files found: "test"\n', NONE),
    "jest": (1, "No tests found, exiting with code 1\n", NONE),
    "cargo": (0, "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n", NONE),
    "go": (0, "?   \tx\t[no test files]\nok  \tx/y\t0.002s [no tests to run]\n", NONE),
    "go, nothing": (1, 'go: warning: "./..." matched no packages\nno packages to test\n', NONE),
    "npm init": (1, "> x@1.0.0 test\nError: no test specified\n", NONE),
    "not found": (127, "sh: 1: pytest: not found\n", MISSING),
    "not executable": (126, "sh: 1: ./t: Permission denied\n", MISSING),
    "module": (1, "/usr/bin/python3: No module named pytest\n", MISSING),
    "below make": (2, "make: pytest: No such file or directory\nmake: *** [Makefile:2: test] Error 127\n", MISSING),
    "plugin": (4, "ERROR: usage: pytest [options]\npytest: error: unrecognized arguments: -n\n", MISSING),
    "npm": (1, 'npm error Missing script: "test"\nnpm error\n', NO_COMMAND),
    "npm, no package": (254, "npm error enoent Could not read package.json: Error: ENOENT\n", NO_COMMAND),
    "pnpm": (1, " ERR_PNPM_NO_SCRIPT  Missing script: test\n", NO_COMMAND),
    "yarn": (1, 'error Command "test" not found. Did you mean "jest"?\n', NO_COMMAND),
    "make": (2, "make: *** No rule to make target 'test'.  Stop.\n", NO_COMMAND),
    "no makefile": (2, "make: *** No targets specified and no makefile found.  Stop.\n", NO_COMMAND),
    "gradle": (1, "* What went wrong:\nTask 'test' not found in root project 'x'.\n", NO_COMMAND),
}


@pytest.mark.parametrize(("code", "output", "why"), UNJUDGED.values(), ids=UNJUDGED)
def test_not_judged(code: int, output: str, why: NotJudged) -> None:
    result = judge_exit(code, output, None, 1.0)
    assert isinstance(result, GateUnjudged)
    assert result.why is why
    assert result.reason
    assert result.output_tail == output.strip("\n")


def test_a_report_stands_above_the_closing_lines() -> None:
    report = Report(totals=TestTotals(passed=7))
    assert judge_exit(0, "1 passed in 0.1s", report, 1.0) == GatePassed(seconds=1.0, totals=report.totals)


def test_a_report_without_tests_is_no_pass() -> None:
    result = judge_exit(0, "fine", Report(), 1.0)
    assert isinstance(result, GateUnjudged)
    assert result.why is NONE


def test_an_exit_code_that_hides_failures_is_red() -> None:
    report = Report(totals=TestTotals(passed=1, failed=1), failing=("a::b",))
    result = judge_exit(0, "", report, 1.0)
    assert isinstance(result, GateRed)
    assert result.failing == ("a::b",)


def test_a_green_report_does_not_hide_an_exit_code() -> None:
    assert isinstance(judge_exit(1, "coverage is too low", Report(totals=TestTotals(passed=1)), 1.0), GateRed)


def test_colours_are_removed_before_reading() -> None:
    raw = b"\x1b[1m== short test summary info ==\x1b[0m\r\n\x1b[31mFAILED\x1b[0m a.py::\x1b[1mtest_x\x1b[0m - no\r\n"
    assert failing_tests(plain(raw)) == ("a.py::test_x",)


def test_names_are_bounded() -> None:
    assert len(failing_tests("".join(f"not ok {number} - t{number}\n" for number in range(1000)))) == 50


def test_several_runners_add_up() -> None:
    assert count_tests("2 passed in 0.1s\n" + GREEN["jest"][0]) == TestTotals(passed=4, skipped=1)


@pytest.mark.parametrize(
    ("output", "expected"),
    [("short\n", "short"), ("aaaa\nbbbb\ncccc\n", "cccc"), ("x" * 30, "x" * 9), ("é" * 30, "é" * 4), ("", "")],
)
def test_the_tail_holds_whole_lines(output: str, expected: str) -> None:
    assert tail(output, 9) == expected
