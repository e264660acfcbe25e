"""Runs the test command on a combined result and says what it means (M-4)."""

from __future__ import annotations

import asyncio
import logging
import shlex
from pathlib import Path

from maestro.errors import MaestroError
from maestro.executors.base import Running, Starter
from maestro.integration.closing_lines import plain, tail
from maestro.integration.discovery import find_test_command
from maestro.integration.gate import Gate
from maestro.integration.judgement import judge_exit
from maestro.integration.results import Report, UnreadableReport, aggregate, read_junit
from maestro.model.gate import GateResult, GateUnjudged, NotJudged
from maestro.proc.request import MARKER, Exit, ProcessRequest

log = logging.getLogger(__name__)

READ_BYTES = 4 * 1024 * 1024
"""How much of the end of the output is read; the whole of it stays in the file."""

_REPORTS = ("target/surefire-reports/TEST-*.xml", "build/test-results/test/*.xml")
"""Where maven and gradle write JUnit XML unasked."""


async def run_gate(
    gate: Gate, workspace_repo: Path, env: dict[str, str], log_dir: Path, executor: Starter, marker: str
) -> GateResult:
    """Run the command in `workspace_repo` with `env`; its output goes to `log_dir`/output.

    What it leaves running is stopped, also when this is cancelled. Nothing is raised for a command that
    cannot be started: that is a result.
    """
    command = gate.command
    if command is None:
        found = await asyncio.to_thread(find_test_command, workspace_repo)
        if found is None:
            return GateUnjudged(why=NotJudged.NO_COMMAND, reason="no test command was found in the repository")
        command = found.command
    try:
        known = await asyncio.to_thread(_prepare, workspace_repo, log_dir)
        running = await executor.start(_request(command, workspace_repo, env, log_dir, marker))
    except (OSError, MaestroError) as error:
        return GateUnjudged(why=NotJudged.SETUP, reason=f"the test command could not be started: {error}")
    ended = await _until_end(running, gate.timeout_seconds)
    return await asyncio.to_thread(_read_result, ended, gate.timeout_seconds, workspace_repo, log_dir, known)


def _request(command: str, repo: Path, env: dict[str, str], log_dir: Path, marker: str) -> ProcessRequest:
    junit = shlex.quote(f"--junitxml={log_dir / 'junit.xml'}")
    # set whatever the command is: pytest may be below make, tox or a script. xunit1 is the family that tells files
    pytest_options = f"{env.get('PYTEST_ADDOPTS', '')} {junit} -o junit_family=xunit1".strip()
    return ProcessRequest(
        argv=("sh", "-c", command),
        cwd=repo,
        env={**env, MARKER: marker, "PYTEST_ADDOPTS": pytest_options},
        stdout_file=log_dir / "output",
        stderr_file=log_dir / "output",
        exit_file=log_dir / "exit",
    )


async def _until_end(running: Running, timeout_seconds: float) -> Exit | None:
    """How it ended, None when the time ran out; nothing of it is left running."""
    try:
        ended = await asyncio.wait_for(running.wait(), timeout_seconds)
    except TimeoutError:
        await running.stop(f"the tests did not end within {timeout_seconds:g} s")
        return None
    except asyncio.CancelledError:
        await running.stop("the run was stopped")
        raise
    await running.sweep()
    return ended


def _prepare(repo: Path, log_dir: Path) -> dict[Path, int]:
    """Make the folder, remove what an earlier try left in it; the report files that are there, with their times."""
    log_dir.mkdir(parents=True, exist_ok=True)
    for name in ("junit.xml", "output", "exit"):
        (log_dir / name).unlink(missing_ok=True)
    return _report_files(repo)


def _report_files(repo: Path) -> dict[Path, int]:
    found = {}
    for pattern in _REPORTS:
        for path in repo.glob(pattern):
            try:
                found[path] = path.stat().st_mtime_ns
            except OSError:
                continue  # removed meanwhile
    return found


def _read_result(
    ended: Exit | None, timeout_seconds: float, repo: Path, log_dir: Path, known: dict[Path, int]
) -> GateResult:
    output = plain(_last_bytes(log_dir / "output"))
    if ended is None:
        return GateUnjudged(
            why=NotJudged.TIMEOUT,
            reason=f"the tests did not end within {timeout_seconds:g} s",
            seconds=timeout_seconds,
            output_tail=tail(output),
        )
    if ended.code is None:
        by = f" by signal {ended.signal}" if ended.signal else ""
        return GateUnjudged(
            why=NotJudged.SETUP,
            reason=f"the test command was killed{by} from outside before it ended",
            seconds=ended.seconds,
            output_tail=tail(output),
        )
    return judge_exit(ended.code, output, _read_reports(repo, log_dir, known), ended.seconds)


def _read_reports(repo: Path, log_dir: Path, known: dict[Path, int]) -> Report | None:
    """All reports this run has written, as one; None without any. A bad one counts as none and is named in the log."""
    fresh = [path for path, time in _report_files(repo).items() if known.get(path) != time]
    reports = []
    for path in [log_dir / "junit.xml", *sorted(fresh)]:
        try:
            if path.is_file() and path.stat().st_size:  # in a sandbox it is made before, to be written
                reports.append(read_junit(path))
        except UnreadableReport as error:
            log.warning("%s; the closing lines of the output are read instead", error.message)
    return aggregate(reports) if reports else None


def _last_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - READ_BYTES))
            return file.read(READ_BYTES)
    except OSError:
        return b""
