"""Locks that the kernel frees."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maestro.errors import Busy, StateError
from maestro.store.filelocks import is_held, locked

HOLDER = """
import sys
from pathlib import Path
from maestro.store.filelocks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.communicate()


def test_held_and_freed(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    assert not is_held(path)
    assert not path.exists()
    with locked(path):
        assert is_held(path)
    assert not is_held(path)


def test_freed_when_the_block_raises(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path / "a"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not is_held(tmp_path / "a")


def test_busy_after_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    child = start_holder(path)
    waits: list[str] = []
    with pytest.raises(Busy, match="locked by another process"), locked(path, 0, lambda: waits.append("once")):
        pytest.fail("two hold one lock")
    assert waits == ["once"]
    end(child)
    with locked(path, 0):
        pass


def test_waits_until_the_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    child = start_holder(path)
    assert child.stdin is not None
    with locked(path, 20, on_wait=child.stdin.close):  # the holder ends once we wait for it
        pass
    assert child.wait(10) == 0
    child.stdout.close()  # type: ignore[union-attr]


def test_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    child = start_holder(path)
    assert is_held(path)
    child.send_signal(signal.SIGKILL)
    end(child)
    assert not is_held(path)
    with locked(path, 0):
        pass


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(20):
            with locked(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 120
    assert max(most) == 1


def test_who_holds_it_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with locked(path):
        with pytest.raises(Busy), locked(path, 0):
            pytest.fail("held twice by one thread")
        assert is_held(path)
    assert not is_held(path)


def test_looking_does_not_refuse_a_claim(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            is_held(path)

    onlooker = threading.Thread(target=look)
    onlooker.start()
    claimed = 0
    try:
        for _ in range(50):
            with locked(path, 0):
                claimed += 1
    finally:
        ended.set()
        onlooker.join()
    assert claimed == 50


def test_unusable_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used"), locked(tmp_path / "file" / "x"):
        pytest.fail("locked below a file")
    with pytest.raises(StateError, match="cannot be read"):
        is_held(tmp_path / "file" / "x")


FORKS = """
import os, sys
from pathlib import Path
from maestro.store.filelocks import locked
path = Path(sys.argv[1])
with locked(path):
    pass
if (pid := os.fork()) == 0:
    with locked(path, 0):
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_process_that_was_forked_takes_what_its_parent_used(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKS, str(tmp_path / "a")], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_one_that_was_used_before_is_held_as_the_first_time(tmp_path: Path) -> None:
    """Also where its folder was removed since."""
    path = tmp_path / "locks" / "a"
    for _ in range(3):
        with locked(path):
            assert is_held(path)
            with pytest.raises(Busy), locked(path, 0):
                pytest.fail("locked twice")
        assert not is_held(path)
        shutil.rmtree(path.parent)
