"""What a thread of ours waits for is ended, and nothing else."""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maestro.proc.children import end_children, end_own_children
from maestro.proc.family import identify
from maestro.testing.processes import until


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "100"])


def test_only_the_children_of_that_thread_are_ended() -> None:
    ours = sleeper()
    try:
        with ThreadPoolExecutor(1) as beside:
            thread = beside.submit(threading.get_native_id).result()
            theirs = beside.submit(sleeper).result()
            end_children(thread)
            assert theirs.wait(20) == -9
            assert ours.poll() is None
            end_children(thread)
    finally:
        ours.kill()
        ours.wait()


def test_those_of_the_caller_are_gone_afterwards() -> None:
    with ThreadPoolExecutor(1) as beside:
        theirs = beside.submit(sleeper).result()
        ours = sleeper()
        end_own_children()
        assert identify(ours.pid) is None
        assert theirs.poll() is None
        theirs.kill()
        beside.submit(theirs.wait).result()
    ours.wait()


def test_a_thread_that_is_over_has_none() -> None:
    """Its children are those of another thread by then."""
    with ThreadPoolExecutor(1) as beside:
        thread = beside.submit(threading.get_native_id).result()
        theirs = beside.submit(sleeper).result()
    try:
        until(
            lambda: not Path(f"/proc/self/task/{thread}").exists()
        )  # Python knows a little before the kernel has done
        end_children(thread)
        with pytest.raises(subprocess.TimeoutExpired):
            theirs.wait(0.2)
    finally:
        theirs.kill()
        theirs.wait()


def test_one_that_ends_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever has its number by then gets no signal."""
    with sleeper() as stranger:
        looks = iter(
            [[2**22 + 1, stranger.pid], []]
        )  # above any pid; and one that is no child any more at a second look
        monkeypatch.setattr("maestro.proc.children._children", lambda _: next(looks))
        try:
            end_children(1)
            assert next(looks, None) is None, "it looked a second time before it would have sent one"
            with pytest.raises(subprocess.TimeoutExpired):
                stranger.wait(0.2)
        finally:
            stranger.kill()
