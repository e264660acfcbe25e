"""A repository and a way to run maestro in it, as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository

WRITES_ONE_FILE = 'echo "$MAESTRO_TASK_ID" > "out-$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm "work"'

Run = Callable[..., Said]


def arguments(
    tmp_path: Path, tasks: list[dict[str, Any]] | str, *flags: str, agent: str, tests: str | None
) -> list[str]:
    """`run --json` over a task file made for it; without tests where none are given."""
    tasks_file = tmp_path / "tasks.json"
    tasks_file.write_text(tasks if isinstance(tasks, str) else json.dumps({"tasks": tasks}))
    gate = ["--no-tests"] if tests is None else ["--test-command", tests]
    return ["run", "--tasks-file", str(tasks_file), "--agent-command", agent, "--json", *gate, *flags]


@pytest.fixture
def run(repo: Repository, tmp_path: Path) -> Run:
    """`run(tasks, agent="shell command", *flags)`: `maestro run --json` over a task file, without tests by default."""

    def go(
        tasks: list[dict[str, Any]] | str,
        *flags: str,
        agent: str = WRITES_ONE_FILE,
        tests: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Said:
        argv = arguments(tmp_path, tasks, *flags, agent=agent, tests=tests)
        return maestro(*argv, cwd=cwd or repo.path, env=env)

    return go


class Started:
    """A `maestro run` under way."""

    def __init__(self, argv: list[str], cwd: Path, env: Mapping[str, str] | None) -> None:
        self.process = subprocess.Popen(
            command_line(*argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, *paths: Path) -> None:
        """Wait until the files exist, while the run is under way."""
        deadline = time.monotonic() + 60
        while not all(path.exists() for path in paths):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"not all of {paths} appeared"
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """To the maestro process alone, not to its agents."""
        self.process.send_signal(number)

    def until_said(self, text: str) -> None:
        """Read standard error until a line holds the text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return
        raise AssertionError(f"{text!r} was never said")

    def end(self, timeout_seconds: float = 60) -> Said:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=timeout_seconds)
        return Said(self.process.returncode, out, err)


@pytest.fixture
def start(repo: Repository, tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Like `run`, but not waited for."""
    under_way: list[Started] = []

    def go(
        tasks: list[dict[str, Any]],
        *flags: str,
        agent: str = WRITES_ONE_FILE,
        tests: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Started:
        argv = arguments(tmp_path, tasks, *flags, agent=agent, tests=tests)
        under_way.append(Started(argv, cwd or repo.path, env))
        return under_way[-1]

    yield go
    for one in under_way:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def checkout_of(repo: Repository) -> tuple[str, ...]:
    """What must not change in the user's checkout."""
    head = repo.git("rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    files = sorted(path.name for path in repo.path.iterdir() if path.name != ".flow")
    return head, repo.git("status", "--porcelain", "--untracked-files=all"), "\n".join(files)


def check_sound(repo: Repository) -> None:
    """Git has nothing to complain of, and only the user's own worktree is left."""
    worktrees = repo.git("worktree", "list", "--porcelain").split("\n\n")
    assert len(worktrees) == 1, worktrees
    said = subprocess.run(["git", "fsck", "--no-dangling"], cwd=repo.path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "error" not in said.stderr


@pytest.fixture
def unharmed(repo: Repository) -> Iterator[None]:
    """The user's checkout is the same afterwards, no worktree is left and git is content."""
    before = checkout_of(repo)
    yield
    assert checkout_of(repo) == before
    check_sound(repo)
