"""The session a command belongs to is found among its ancestors, by what was started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from maestro.proc.ancestor import session_of
from maestro.proc.family import identify
from maestro.testing.processes import until


@contextmanager
def family(tmp_path: Path, argv: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A shell with these words as its command line, and its grandchild; their pids."""
    pid_file = tmp_path / "pid"
    script = f'sh -c "sh -c \\"echo \\\\\\$\\$ > {pid_file}; read x\\"; :"; :'
    shell = subprocess.Popen([*argv, script], executable="/bin/bash", stdin=subprocess.PIPE)
    try:
        until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
        yield shell.pid, int(pid_file.read_text())
    finally:
        shell.communicate()


@pytest.mark.parametrize("name", ["claude", "/usr/local/bin/claude"])
def test_the_program_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    with family(tmp_path, [name, "-c"]) as (shell, grandchild):
        assert session_of(grandchild) == identify(shell)


@pytest.mark.parametrize("script", ["claude", "node_modules/@anthropic-ai/claude-code/cli.js"])
def test_a_script_that_an_interpreter_runs_is_known_by_its_path(tmp_path: Path, script: str) -> None:
    file = tmp_path / script
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('eval "$1"\n')
    with family(tmp_path, ["node", str(file)]) as (shell, grandchild):
        assert session_of(grandchild) == identify(shell)


@pytest.mark.parametrize("words", [["bash", "-c"], ["claudette", "-c"], ["claude-code/run", "-c"]])
def test_others_are_no_session(tmp_path: Path, words: list[str]) -> None:
    with family(tmp_path, words) as (shell, grandchild):
        assert session_of(grandchild) != identify(shell)


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen(["true"]) as popen:
        popen.wait()
    assert session_of(popen.pid) is None
