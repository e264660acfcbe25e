"""A lock that was given back is free at once, though a child that is just being started has all that was open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from maestro.errors import Busy, TrackerError
from maestro.proc.posixspawn import FileActions
from maestro.store.filelocks import is_held, locked
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from maestro.trackers.beads.turn import Turn
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkspaceSpec
from maestro.workspaces.registry import open_workspaces


@contextmanager
def child_just_starting(folder: Path) -> Iterator[None]:
    """One that has not got to its program: it opens a pipe in a file first, which nobody else has opened yet."""
    fifo, started = folder / "fifo", list[int]()
    os.mkfifo(fifo)

    def start() -> None:
        actions = FileActions()
        actions.open(0, str(fifo), os.O_RDONLY, 0)
        started.append(actions.spawn(["/bin/true"], {}))

    thread = threading.Thread(target=start)
    thread.start()
    until(lambda: thread.native_id is not None and children_of(thread.native_id) != "")
    try:
        yield
        assert not started, "it was still on its way"
    finally:
        os.close(os.open(fifo, os.O_WRONLY))
        thread.join()
        os.waitpid(started[0], 0)


def children_of(thread: int) -> str:
    return Path(f"/proc/self/task/{thread}/children").read_text()


def test_the_users_checkout(repo: Repository, tmp_path: Path) -> None:
    workspaces = open_workspaces("none", git=open_repository(repo.path), root=tmp_path / "root")

    def spec(name: str) -> WorkspaceSpec:
        return WorkspaceSpec(run_id="r", task_id=name, task_name=name, attempt=1, base=repo.head, branch=f"m/{name}")

    first = workspaces.create(spec("t1"))
    with child_just_starting(tmp_path):
        with pytest.raises(Busy):
            open_workspaces("none", git=open_repository(repo.path), root=tmp_path / "root").create(spec("t2"))
        workspaces.remove(first)
        workspaces.remove(workspaces.create(spec("t3")))


def test_the_turn_of_a_tracker(tmp_path: Path) -> None:
    with ExitStack() as starting:
        with Turn(tmp_path, timeout_seconds=30).taken():
            starting.enter_context(child_just_starting(tmp_path))
            with pytest.raises(TrackerError), Turn(tmp_path, timeout_seconds=0.1).taken():
                pass
        with Turn(tmp_path, timeout_seconds=0).taken():
            pass


def test_a_lock_file(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with ExitStack() as starting:
        with locked(lock):
            starting.enter_context(child_just_starting(tmp_path))
            assert is_held(lock)
        assert not is_held(lock)
