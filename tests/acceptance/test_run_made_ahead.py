"""The first workspaces are made while the run is being loaded; whatever ends it there leaves none (W-6, E-6, E-7)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro.store.layout import Layout
from maestro.testing.commandline import maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, arguments
from tests.conftest import is_over

pytestmark = pytest.mark.usefixtures("unharmed")

TASKS = [{"id": "a"}, {"id": "b"}, {"id": "c", "dependencies": ["a"]}]

BEFORE_IT_DRIVES = """
import sys, time
from pathlib import Path
from maestro.cli.main import main
from maestro.coordinator import ParallelCoordinator

def drive(*args, **kwargs):
    Path(sys.argv[1]).touch()
    time.sleep(60)

ParallelCoordinator._drive = drive
sys.exit(main(sys.argv[2:]))
"""
"""`maestro`, which stops for good between what may refuse a run and what drives it."""

GIT = """#!/bin/sh
echo "$*" >> {log}
case " $* " in *" {at} "*) echo $$ > {here}.new; mv {here}.new {here}; {does};; esac
exec {git} "$@"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def stopped(repo: Repository, root: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A run `r` that stands where its workspaces are being made, or are made."""
    begun: list[subprocess.Popen[str]] = []

    def go(**env: str) -> subprocess.Popen[str]:
        here = tmp_path / "it-would-drive"
        words = ("--run-id", "r", "--workspace-root", str(root), "--max-parallel", "2")
        argv = arguments(tmp_path, TASKS, *words, agent=WRITES_ONE_FILE, tests=None)
        begun.append(
            subprocess.Popen(
                [sys.executable, "-c", BEFORE_IT_DRIVES, str(here), *argv],
                cwd=repo.path,
                env={**os.environ, **env},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        until(here.exists)
        return begun[-1]

    yield go
    for one in begun:
        one.kill()
        one.communicate()


def other_git(tmp_path: Path, at: str, does: str) -> tuple[dict[str, str], Path, Path]:
    """Variables with a git that does something else before one command; where it says so, and where all calls are."""
    here, log, git = tmp_path / "here", tmp_path / "log", tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(GIT.format(at=at, does=does, here=here, log=log, git=shutil.which("git")))
    git.chmod(0o755)
    return {"PATH": f"{git.parent}:{os.environ['PATH']}"}, here, log


def made(root: Path) -> list[Path]:
    """Those that wait with all their files."""
    return list((root / "r").glob(".parked-*/*/README.md"))


def nothing_is_left(repo: Repository, root: Path) -> None:
    assert not (root / "r").exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert not list((repo.path / ".git" / "worktrees").glob("*"))
    assert not list((Layout(repo.path).locks / "live").glob("*.json"))


def lands(repo: Repository, root: Path) -> None:
    said = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert said.statuses() == dict.fromkeys("abc", "landed"), said.err
    nothing_is_left(repo, root)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupt_before_it_drives_leaves_nothing(
    number: signal.Signals, stopped: Callable[..., subprocess.Popen[str]], repo: Repository, root: Path
) -> None:
    process = stopped()
    until(lambda: len(made(root)) == 2)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130
    nothing_is_left(repo, root)
    lands(repo, root)


@pytest.mark.parametrize("waits", ["worktree add", "read-tree"])
def test_an_interrupt_does_not_wait_for_a_git_that_hangs(
    waits: str, stopped: Callable[..., subprocess.Popen[str]], repo: Repository, root: Path, tmp_path: Path
) -> None:
    env, here, _ = other_git(tmp_path, waits, "exec sleep 100")
    process = stopped(**env)
    until(here.exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert is_over(int(here.read_text()))
    nothing_is_left(repo, root)


def test_one_that_was_killed_before_its_first_event_is_resumed(
    stopped: Callable[..., subprocess.Popen[str]], repo: Repository, root: Path
) -> None:
    process = stopped()
    until(lambda: len(made(root)) == 2)
    process.kill()
    process.wait()
    assert not Layout(repo.path).journal("r").exists()
    assert len(made(root)) == 2
    lands(repo, root)


@pytest.mark.parametrize("waits", ["worktree add", "read-tree"])
def test_one_whose_gits_outlive_it_is_resumed(
    waits: str, stopped: Callable[..., subprocess.Popen[str]], repo: Repository, root: Path, tmp_path: Path
) -> None:
    env, here, _ = other_git(tmp_path, waits, "sleep 1")
    process = stopped(**env)
    until(here.exists)
    process.kill()
    process.wait()
    lands(repo, root)
    assert is_over(int(here.read_text()))


def test_one_that_was_killed_is_cleaned_up(
    stopped: Callable[..., subprocess.Popen[str]], repo: Repository, root: Path
) -> None:
    process = stopped()
    until(lambda: len(made(root)) == 2)
    process.kill()
    process.wait()
    said = maestro("cleanup-orphans", "--force", "--json", cwd=repo.path)
    assert said.code == 0, said.err
    nothing_is_left(repo, root)
    lands(repo, root)


def test_the_first_tasks_get_those_that_were_made(run: Run, root: Path, tmp_path: Path) -> None:
    env, _, log = other_git(tmp_path, "nothing", "true")
    said = run(TASKS, "--workspace-root", str(root), "--max-parallel", "2", env=env)
    assert said.statuses() == dict.fromkeys("abc", "landed"), said.err
    added = [line.partition(" worktree add ")[2] for line in log.read_text().splitlines() if " worktree add " in line]
    assert len(added) == 2
    assert all("--detach" in line for line in added)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("why", ["no test command", "a branch of its name"])
def test_a_refused_run_makes_none(why: str, repo: Repository, root: Path, tmp_path: Path) -> None:
    if why == "a branch of its name":
        repo.git("branch", "integration/r")
    words = arguments(tmp_path, TASKS, "--run-id", "r", "--workspace-root", str(root), agent="true", tests=None)
    said = maestro(*(word for word in words if word != "--no-tests" or "branch" in why), cwd=repo.path)
    assert said.code == 2, said.err
    assert not root.exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1


def test_a_run_over_tasks_that_somebody_holds_makes_none(
    start: Callable[..., Started], run: Run, repo: Repository, root: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    other = start(TASKS, "--max-parallel", "1", agent=f"touch {here}; exec sleep 100")
    other.until(here)
    before = repo.git("worktree", "list")
    said = run(TASKS, "--run-id", "r", "--workspace-root", str(root))
    assert said.code == 3, said.err
    assert repo.git("worktree", "list") == before
    assert not list(root.iterdir())
    for _ in range(2):
        other.send(signal.SIGINT)
        other.until_said("nterrupted")
    assert other.end().code == 130
