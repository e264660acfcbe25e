"""One process to its end: everything it says comes back, and nothing is left of it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maestro.errors import BadInput, GitError
from maestro.proc import spawned
from maestro.vcs.git import Git


def sh(
    script: str, tmp_path: Path, stdin: bytes | None = None, limit: float = 30
) -> subprocess.CompletedProcess[bytes]:
    argv = ["/bin/sh", "-c", f"cd '{tmp_path}'; {script}"]
    return spawned.run(argv, env=dict(os.environ), stdin=stdin, timeout_seconds=limit)


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
        sh(f"echo $$ >pid; {script}", tmp_path, limit=2)
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
        spawned.run(["/nowhere/git"], env={}, stdin=None, timeout_seconds=1)
    assert count() == before


@pytest.mark.parametrize("library", ["", "posixspawn._can_close_all = lambda: False"], ids=["as here", "old"])
def test_descriptors_of_whoever_started_us_are_not_passed_on(library: str) -> None:
    """Nor those that we open ourselves; and whether 0, 1 and 2 are open here makes no difference."""
    program = (
        f"import os\nfrom maestro.proc import posixspawn, spawned\n{library}\n"
        "mine = os.open('/dev/null', os.O_RDONLY)\n"
        "script = 'cat; echo out; echo err >&2; ls /proc/self/fd'\n"
        "done = spawned.run(['/bin/sh', '-c', script], env=dict(os.environ), stdin=b'in ', timeout_seconds=30)\n"
        "os.write(int(os.environ['ANSWER']), repr((done.stdout.split(), done.stderr)).encode())\n"
    )
    for closed in ("", "<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"):
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        env = {**os.environ, "ANSWER": str(writing)}
        argv = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", program]
        with subprocess.Popen(argv, env=env, pass_fds=[writing], cwd=Path(__file__).parents[2]):
            os.close(writing)
            with os.fdopen(reading, "rb") as answer:
                said = answer.read().decode()
        # 3 is the folder that ls reads
        assert said == repr(([b"in", b"out", b"0", b"1", b"2", b"3"], b"err\n")), closed


def test_a_pipe_that_cannot_be_had_leaves_nothing_open() -> None:
    """Its ends come to stand where standard input and output were, and there is no room to move them away."""
    program = (
        "import os, resource, sys\nfrom maestro.proc import spawned\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "def fill():\n"
        "    try:\n        while True:\n            os.open('/dev/null', os.O_RDONLY)\n"
        "    except OSError:\n        pass\n"
        "fill()\n"
        "for gap in (0, 5), (0, 1):\n"
        "    for fd in gap:\n        os.close(fd)\n"
        "    try:\n        print(spawned.pipe(), file=sys.stderr)\n    except OSError:\n        pass\n"
        "    print([fd for fd in range(64) if not os.path.exists(f'/proc/self/fd/{fd}')] == [*gap], file=sys.stderr)\n"
        "    fill()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "True\nTrue\n")


def test_signals_that_python_ignores_are_not_ignored_there(tmp_path: Path) -> None:
    assert sh("kill -PIPE $$; echo alive", tmp_path).returncode == -signal.SIGPIPE


def test_a_directory_that_is_gone_or_closed_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="gone does not exist"):
        Git(tmp_path / "gone").commit_of("HEAD")
    (tmp_path / "file").touch()
    with pytest.raises(GitError, match="file does not exist"):
        Git(tmp_path / "file").commit_of("HEAD")


def test_a_git_in_the_current_directory_is_not_taken_for_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\ntouch called\n")
    (tmp_path / "git").chmod(0o755)
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="git was not found on PATH"):
        Git(tmp_path, env={"PATH": str(tmp_path / "bin")}).run("status")
    assert not (tmp_path / "called").exists()


def test_what_is_open_beyond_the_limit_stands_in_nobodys_way(tmp_path: Path) -> None:
    code = "from maestro.proc.spawned import run; "
    code += "print(run(['/bin/echo', 'said'], env={}, stdin=None, timeout_seconds=30).stdout)"
    script = f'exec 700</dev/null; ulimit -n 256; exec {sys.executable} -c "{code}"'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b'said\\n'\n", "")
