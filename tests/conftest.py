"""Every test is hermetic: own HOME, cleared environment, pinned identity and time zone, no process left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from maestro.testing.repository import IDENTITY, Repository, make_repository

FORBIDDEN = "namespaces are forbidden here"
"""What a test is skipped for where the kernel, or the container around it, allows no sandbox."""

KEPT = ("PATH", "TMPDIR", "CI", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "NODE_EXTRA_CA_CERTS", "MAESTRO_TEST_TOOLS")

PF_EXITING = 0x4  # include/linux/sched.h

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as of a job in the background, or of nohup: children would, too
        signal.signal(number, usual)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: more than there are cores, since a test spends a third of its time waiting for what it started."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sets TZ; the process is put back afterwards."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh HOME and environment; fails the test when it leaves a process or changes the environment."""
    mark = uuid.uuid4().hex
    # without a number, which is found by reading the names of all others
    home, machine = (tmp_path_factory.mktemp(f"{what}-{mark[:12]}", numbered=False) for what in ("home", "machine"))
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    for name in list(os.environ):
        if not name.startswith(("PYTEST_", "COV_")):
            monkeypatch.delenv(name)
    ours = {
        **kept,
        **IDENTITY,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "MAESTRO_MACHINE_DIR": str(machine),  # leases of other tests and users are not ours
        "MAESTRO_MAX_LOAD": "0",  # what else the machine does while the tests run is no business of theirs
        "MAESTRO_TEST_MARK": mark,
        # a pytest that a test starts removes older folders of its kind at its end: not those of whole earlier runs
        "PYTEST_DEBUG_TEMPROOT": str(home.parent),
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    yield home
    left = processes_with(f"MAESTRO_TEST_MARK={mark}")
    if left:  # one that is being killed is seen as such at all but a moment: the second look is later
        time.sleep(0.1)
        left = processes_with(f"MAESTRO_TEST_MARK={mark}")
    end_all(left, f"MAESTRO_TEST_MARK={mark}")
    assert not left, f"the test left processes behind: {list(left.values())}"


def end_all(left: dict[int, str], variable: str) -> None:
    """What one test left shall not disturb the others, nor live on for days; children that they make meanwhile too."""
    while left:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        left = processes_with(variable)


def processes_with(variable: str) -> dict[int, str]:
    """Command lines of other live processes whose environment holds `variable`."""
    wanted, own, found = variable.encode(), str(os.getpid()), {}
    for pid in os.listdir("/proc"):  # noqa: PTH208 - after every test: Path.iterdir costs several times as much
        if not pid.isdigit() or pid == own:
            continue
        try:
            if wanted in read(f"/proc/{pid}/environ").split(b"\0") and not is_ending(pid):
                found[int(pid)] = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def is_ending(pid: str) -> bool:
    """Whether nothing of it will run again: it has exited, is about to, or has been sent SIGKILL. A killed process is
    there for a while yet where the machine is busy, and only its parent can wait for it."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    status = dict(line.split(b":", 1) for line in read(f"/proc/{pid}/status").splitlines())
    killed = any(int(status[name], 16) & 1 << signal.SIGKILL - 1 for name in (b"SigPnd", b"ShdPnd"))
    return fields[0] == b"Z" or bool(int(fields[6]) & PF_EXITING) or killed


def is_over(pid: int) -> bool:
    """Whether nothing of it will run again. One that is being killed is seen as such at all but a moment: a second look
    is later."""
    for pause in (0, 0.1):
        time.sleep(pause)
        try:
            if is_ending(str(pid)):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
    return False


def read(path: str) -> bytes:
    """A file of /proc, read by what no test replaces."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
    finally:
        os.close(descriptor)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which real component a test had or wanted; with CI=true a skip for want of one is a failure."""
    report = yield
    marker = item.get_closest_marker("real")
    if marker is None:
        return report
    component = str(marker.args[0])
    if report.skipped:
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
        reason = said.removeprefix("Skipped: ").strip()
        report.user_properties.append(("real component not tried", f"{component}: {reason}"))
        forbidden = item.get_closest_marker("needs_namespaces") and FORBIDDEN in reason
        if os.environ.get("CI") == "true" and not forbidden:  # that no installation can change
            report.outcome = "failed"
            report.longrepr = f"CI=true, and {component} could not be tried: {reason}"
    elif report.when == "call":
        report.user_properties.append(("real component tried", component))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every real component that this machine could not offer, and why; and those that were tried. What tests
    have counted is added up."""
    reports = [report for several in terminalreporter.stats.values() for report in several]
    noted = [pair for report in reports for pair in getattr(report, "user_properties", ())]
    tried = {text for name, text in noted if name == "real component tried"}
    missing = {text for name, text in noted if name == "real component not tried"}
    counted: Counter[str] = Counter()
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith("counted ") and report.when == "call":  # that of its end has the same ones
                counted[name.removeprefix("counted ")] += int(value)
    for name, total in sorted(counted.items()):
        terminalreporter.write_line(f"{name}: {total}")
    if tried or missing:
        terminalreporter.section("real components")
    if tried:
        terminalreporter.write_line(f"Real components tried: {', '.join(sorted(tried))}")
    if missing:
        terminalreporter.write_line("Real components not tried:")
        for line in sorted(missing):
            terminalreporter.write_line(f"  {line}")


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """A repository with one commit, in a folder of its own."""
    return make_repository(tmp_path / "project")
