"""The test command with real runners, as real children."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from maestro.executors.local import LocalExecutor
from maestro.integration.gates import Gate, run_gate
from maestro.model.gate import GatePassed, GateRed, GateResult, GateUnjudged, NotJudged, TestTotals
from maestro.proc.ladder import Graces

GRACES = Graces(interrupt_seconds=0.2, terminate_seconds=2.0)
PYTEST = f"{sys.executable} -m pytest -q -p no:randomly -p no:cacheprovider"


class Project:
    """A project without git, and a folder for logs with a blank in its name."""

    def __init__(self, root: Path) -> None:
        self.root = root / "project"
        self.root.mkdir()
        self.logs = root / "the logs"

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    async def arun(self, command: str | None, seconds: float = 500.0, env: dict[str, str] | None = None) -> GateResult:
        env = {**os.environ, "GOCACHE": str(self.logs / "go"), "GOFLAGS": "-vet=off", "CGO_ENABLED": "0", **(env or {})}
        gate = Gate(command=command, timeout_seconds=seconds)
        return await run_gate(gate, self.root, env, self.logs, LocalExecutor(GRACES), f"run/gate/{uuid.uuid4().hex}")

    def run(self, command: str | None, seconds: float = 500.0, env: dict[str, str] | None = None) -> GateResult:
        return asyncio.run(self.arun(command, seconds, env))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def why(result: GateResult) -> NotJudged:
    assert isinstance(result, GateUnjudged), result
    assert result.reason
    return result.why


def failing(result: GateResult) -> tuple[str, ...]:
    assert isinstance(result, GateRed), result
    assert result.output_tail
    return result.failing


def test_pytest_green(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): pass\ndef test_b(): pass\n"})
    result = project.run(PYTEST)
    assert isinstance(result, GatePassed), result
    assert result.totals == TestTotals(passed=2)
    assert result.seconds > 0
    assert (project.logs / "junit.xml").is_file()
    assert "2 passed" in (project.logs / "output").read_text()


def test_pytest_red_names_tests_that_pytest_can_be_given(project: Project) -> None:
    project.write(
        {
            "pkg/test_a.py": "class TestX:\n  def test_a(self): assert 0\n  def test_ok(self): pass\n",
            "test_b.py": "import pytest\n@pytest.mark.parametrize('x', ['a b'])\ndef test_p(x): assert 0\n",
        }
    )
    result = project.run(PYTEST)
    assert failing(result) == ("pkg/test_a.py::TestX::test_a", "test_b.py::test_p[a b]")
    assert isinstance(result, GateRed)
    assert result.exit_code == 1
    assert result.totals == TestTotals(passed=1, failed=2)


def test_pytest_that_cannot_collect_is_red_and_names_the_file(project: Project) -> None:
    project.write({"sub/test_a.py": "import no_such_thing\n"})
    assert failing(project.run(PYTEST)) == ("sub/test_a.py",)


def test_pytest_without_tests_is_no_pass(project: Project) -> None:
    assert why(project.run(PYTEST)) is NotJudged.NONE_COLLECTED


def test_pytest_with_skipped_tests_only_is_no_pass(project: Project) -> None:
    project.write({"test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"})
    assert why(project.run(PYTEST)) is NotJudged.NONE_COLLECTED


def test_pytest_that_refuses_an_option_misses_a_plugin(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): pass\n"})
    result = project.run(f"{PYTEST} --no-such-option")
    assert why(result) is NotJudged.MISSING_RUNNER
    assert isinstance(result, GateUnjudged)
    assert "--no-such-option" in result.reason


def test_pytest_given_a_folder_that_is_gone_is_red(project: Project) -> None:
    assert failing(project.run(f"{PYTEST} tests")) == ()


def test_the_users_own_pytest_options_are_kept(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): assert 0\ndef test_b(): pass\n"})
    result = project.run(PYTEST, env={"PYTEST_ADDOPTS": "-k test_b"})
    assert isinstance(result, GatePassed), result
    assert result.totals == TestTotals(passed=1)


def test_a_failure_hidden_by_the_command_is_red(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): assert 0\n"})
    assert failing(project.run(f"{PYTEST} || true")) == ("test_a.py::test_a",)


def test_a_report_of_an_earlier_try_does_not_count(project: Project) -> None:
    project.write({"test_a.py": "def test_a(): assert 0\n"})
    assert failing(project.run(PYTEST))
    green = project.run("echo fine")
    assert isinstance(green, GatePassed), green
    assert green.totals is None


def test_unittest(project: Project) -> None:
    project.write({"test_u.py": "import unittest\nclass C(unittest.TestCase):\n  def test_a(self): self.fail()\n"})
    assert failing(project.run(f"{sys.executable} -m unittest")) == ("test_u.C.test_a",)
    (project.root / "test_u.py").unlink()
    assert why(project.run(f"{sys.executable} -m unittest")) is NotJudged.NONE_COLLECTED


@pytest.mark.real("node")
@needs("node")
def test_node(project: Project) -> None:
    assert why(project.run("node --test")) is NotJudged.NONE_COLLECTED
    test = "const test = require('node:test');\ntest('adds', () => {});\n"
    project.write({"a.test.js": test})
    green = project.run("node --test")
    assert isinstance(green, GatePassed), green
    assert green.totals == TestTotals(passed=1)
    project.write({"a.test.js": f"{test}test('subtracts', () => {{ throw new Error('no') }});\n"})
    assert failing(project.run("node --test")) == ("subtracts",)


@pytest.mark.real("npm")
@needs("npm")
def test_npm(project: Project) -> None:
    project.write({"package.json": '{"name": "x", "version": "1.0.0", "scripts": {}}'})
    assert why(project.run("npm test")) is NotJudged.NO_COMMAND
    script = '{"name": "x", "version": "1.0.0", "scripts": {"test": "%s"}}'
    project.write({"package.json": script % 'echo \\"Error: no test specified\\" && exit 1'})
    assert why(project.run("npm test")) is NotJudged.NONE_COLLECTED
    project.write({"package.json": script % "no-such-runner"})
    assert why(project.run("npm test")) is NotJudged.MISSING_RUNNER
    project.write({"package.json": script % "node --test", "a.test.js": "require('node:test')('adds', () => {});\n"})
    green = project.run(None)
    assert isinstance(green, GatePassed), green
    assert green.totals == TestTotals(passed=1)


@needs("make")
def test_make(project: Project) -> None:
    assert why(project.run("make test")) is NotJudged.NO_COMMAND
    project.write({"Makefile": "all:\n\ttrue\n"})
    assert why(project.run("make test")) is NotJudged.NO_COMMAND
    project.write({"Makefile": "test:\n\tno-such-runner\n"})
    assert why(project.run("make test")) is NotJudged.MISSING_RUNNER
    project.write({"Makefile": f"test:\n\t{PYTEST}\n"})
    assert why(project.run("make test")) is NotJudged.NONE_COLLECTED
    project.write({"test_a.py": "def test_a(): assert 0\n"})
    assert failing(project.run("make test")) == ("test_a.py::test_a",)
    project.write({"test_a.py": "def test_a(): pass\n"})
    green = project.run("make test")
    assert isinstance(green, GatePassed), green
    assert green.totals == TestTotals(passed=1)


@pytest.mark.timeout(600)  # go compiles its own library first, in a cache of this test's own
@needs("go")
def test_go(project: Project) -> None:
    project.write({"go.mod": "module x\n\ngo 1.20\n", "x.go": "package x\n"})
    assert why(project.run("go test ./...")) is NotJudged.NONE_COLLECTED
    body = 'package x\n\nimport "testing"\n\nfunc TestA(t *testing.T) { %s }\n'
    project.write({"x_test.go": body % "t.Log()"})
    assert isinstance(project.run("go test ./..."), GatePassed)
    project.write({"x_test.go": body % 't.Error("no")'})
    assert failing(project.run("go test ./...")) == ("TestA",)


@needs("cargo")
def test_cargo(project: Project) -> None:
    # rustup looks for its toolchains below the home of the account, which a test does not see
    env = {"RUSTUP_HOME": f"{pwd.getpwuid(os.getuid()).pw_dir}/.rustup", "CARGO_HOME": str(project.logs / "cargo")}
    if subprocess.run(["cargo", "--version"], env={**os.environ, **env}, capture_output=True).returncode != 0:
        pytest.skip("cargo has no toolchain here")
    project.write({"Cargo.toml": '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": ""})
    assert why(project.run("cargo test --offline", env=env)) is NotJudged.NONE_COLLECTED
    project.write({"src/lib.rs": "#[cfg(test)] mod tests { #[test] fn bad() { assert!(false) } }\n"})
    assert failing(project.run("cargo test --offline", env=env)) == ("tests::bad",)


def test_reports_of_maven_and_gradle_are_read_when_this_run_wrote_them(project: Project) -> None:
    case = '<testsuite><testcase classname="com.x.ATest" name="adds">%s</testcase></testsuite>'
    project.write({"target/surefire-reports/TEST-old.xml": case % "<failure/>", "new.xml": case % "<error/>"})
    assert isinstance(project.run("true"), GatePassed)
    result = project.run("cp new.xml target/surefire-reports/TEST-new.xml; echo done; exit 1")
    assert failing(result) == ("com.x.ATest::adds",)


@pytest.mark.parametrize("command", ["no-such-command --flag", "./not-executable"])
def test_a_missing_runner_is_named(project: Project, command: str) -> None:
    project.write({"not-executable": "text"})
    result = project.run(command)
    assert why(result) is NotJudged.MISSING_RUNNER
    assert isinstance(result, GateUnjudged)
    assert command.partition(" ")[0] in result.reason


def test_no_pytest_is_a_missing_runner(project: Project) -> None:
    result = project.run(f"{sys.executable} -I -S -m pytest")
    assert why(result) is NotJudged.MISSING_RUNNER


def test_no_command_at_all_is_named(project: Project) -> None:
    assert why(project.run(None)) is NotJudged.NO_COMMAND


def test_a_command_is_run_by_a_shell_in_the_workspace_with_its_environment(project: Project) -> None:
    project.write({"here": ""})
    result = project.run(
        'test -f here && test "$GREETING" = "hello world" && test -n "$MAESTRO_ATTEMPT"',
        env={"GREETING": "hello world"},
    )
    assert isinstance(result, GatePassed), result


def test_a_timeout_stops_the_whole_family(project: Project) -> None:
    started = time.monotonic()
    result = project.run("echo begun; sleep 60 & sleep 60", seconds=3)
    assert why(result) is NotJudged.TIMEOUT
    assert isinstance(result, GateUnjudged)
    assert result.output_tail == "begun"
    assert time.monotonic() - started < 30


def test_what_a_command_leaves_running_is_stopped(project: Project) -> None:
    # the fixture `hermetic` fails this test if the sleeper lives on
    assert isinstance(project.run("sleep 300 > /dev/null 2>&1 & echo fine"), GatePassed)


def test_a_cancelled_gate_leaves_nothing_behind(project: Project) -> None:
    async def cancel_under_way() -> None:
        gate = asyncio.create_task(project.arun("echo begun; sleep 300"))
        while not (project.logs / "output").is_file() or not (project.logs / "output").read_text():
            await asyncio.sleep(0.01)
        gate.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gate

    asyncio.run(cancel_under_way())


def test_a_hundred_megabytes_of_output_are_read_from_their_end(project: Project) -> None:
    result = project.run("head -c 100000000 /dev/zero | tr '\\0' 'x'; echo; echo 'not ok 1 - last'; exit 1")
    assert failing(result) == ("last",)


def test_a_workspace_that_is_gone_is_a_setup_failure(project: Project) -> None:
    project.root.rmdir()
    assert why(project.run("true")) is NotJudged.SETUP
