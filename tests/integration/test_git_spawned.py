"""One process to its end: everything it says comes back, and nothing is left of it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from maestro.vcs import spawned


def sh(
    script: str, tmp_path: Path, stdin: bytes | None = None, limit: float = 30
) -> subprocess.CompletedProcess[bytes]:
    argv = ["/bin/sh", "-c", script]
    return spawned.run(argv, cwd=tmp_path, env=dict(os.environ), stdin=stdin, timeout_seconds=limit)


def test_output_errors_and_code_come_back(tmp_path: Path) -> None:
    done = sh("pwd; echo wrong >&2; exit 3", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path}\n".encode(), b"wrong\n")


def test_much_is_read_and_written_on_all_ways_at_once(tmp_path: Path) -> None:
    much = os.urandom(1 << 20) * 3
    done = sh("tee /dev/stderr", tmp_path, stdin=much)
    assert done.stdout == much
    assert done.stderr == much


def test_nothing_to_read_is_the_end_of_the_input(tmp_path: Path) -> None:
    assert sh("cat; cat <&0", tmp_path).stdout == b""
    assert sh("cat", tmp_path, stdin=b"").stdout == b""


def test_a_signal_is_told_as_subprocess_does(tmp_path: Path) -> None:
    assert sh("kill -TERM $$", tmp_path).returncode == -15


@pytest.mark.parametrize("script", ["exec sleep 60", "exec sleep 60 >/dev/null", "echo early; exec sleep 60"])
def test_who_takes_too_long_is_killed(script: str, tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        sh(f"echo $$ >pid; {script}", tmp_path, limit=0.3)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_whatever_is_left_with_standard_error_open_holds_nobody_up(tmp_path: Path) -> None:
    started = time.monotonic()
    done = sh("sleep 60 >/dev/null & echo $! >pid; echo done", tmp_path)
    took = time.monotonic() - started
    left = os.pidfd_open(int((tmp_path / "pid").read_text()))
    signal.pidfd_send_signal(left, signal.SIGKILL)
    assert select.select([left], [], [], 30)[0]
    os.close(left)
    assert done.stdout == b"done\n"
    assert took < 30


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = count()
    sh("echo x", tmp_path, stdin=b"y")
    with pytest.raises(subprocess.TimeoutExpired):
        sh("exec sleep 60", tmp_path, limit=0.05)
    with pytest.raises(FileNotFoundError):
        spawned.run(["/nowhere/git"], cwd=tmp_path, env={}, stdin=None, timeout_seconds=1)
    assert count() == before
