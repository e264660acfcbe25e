"""Subagents of a session test in turn, by the words of their prompt (I-7, C-3)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.resources.locks.base import LockStatus, Resource
from maestro.resources.locks.status import status
from maestro.testing.commandline import command_line
from maestro.testing.repository import Repository
from tests.acceptance.delegating import Session, until, work_all

pytestmark = pytest.mark.usefixtures("unharmed")


@pytest.fixture
def session(repo: Repository, tmp_path: Path) -> Iterator[Session]:
    made = Session(repo, tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_they_wait_in_the_queue_of_the_users_repository(session: Session, kind: str) -> None:
    def tests_lock() -> LockStatus:
        return status(session.repo.path / ".flow" / "maestro" / "locks" / "named", Resource("tests"))

    said = session.start([{"id": "a"}], "--workspace", kind).json
    (launch,) = said["launch"]
    (words,) = re.findall(r"`(.* lock tests -- )COMMAND`", launch["prompt"])
    someone = command_line("lock", "tests", "--", "cat")
    with subprocess.Popen(someone, cwd=session.repo.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        until(lambda: bool(tests_lock().holders))
        ours = subprocess.Popen(f"{words}true", shell=True, cwd=launch["workspace"])
        until(lambda: [(one.task, one.run) for one in tests_lock().queue] == [("a", said["run_id"])])
        assert ours.poll() is None
        other.stdin.close()
    assert ours.wait(30) == 0
    work_all([launch])
    assert session.wait(said["run_id"]).code == 0
