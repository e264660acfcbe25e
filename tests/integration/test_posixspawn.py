"""Children are started as by `os.posix_spawn`, but while one begins our other threads go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maestro.proc import posixspawn
from maestro.proc.posixspawn import FileActions


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def said_by(argv: list[str], env: dict[str, str]) -> bytes:
    """What it says, exactly as `os.posix_spawn` would let it."""
    reading, writing = os.pipe()
    actions = FileActions()
    actions.dup2(writing, 1)
    pid = actions.spawn(argv, env)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    assert code_of(pid) == 0
    return said


def test_other_threads_go_on_until_the_program_has_begun(tmp_path: Path) -> None:
    """The child waits here for somebody to write, and the thread that started it waits for the child."""
    fifo, begun = tmp_path / "fifo", list[int]()
    os.mkfifo(fifo)

    def start() -> None:
        actions = FileActions()
        actions.open(0, str(fifo), os.O_RDONLY, 0)
        begun.append(actions.spawn(["/bin/sh", "-c", "read word; test $word = go"], {}))

    thread = threading.Thread(target=start)
    thread.start()
    with fifo.open("w") as words:  # nobody would come here, did the thread keep the interpreter's lock
        words.write("go\n")
    thread.join()
    assert code_of(begun[0]) == 0


def test_arguments_and_variables_arrive_as_they_are() -> None:
    odd = os.fsdecode(b"\xff\xfe \xc3\xa4\n$(x)'")
    assert said_by(["/bin/sh", "-c", 'printf %s "$1"', "sh", odd], {}) == os.fsencode(odd)
    assert said_by(["/usr/bin/env"], {"A": "1=2", "ODD": odd}) == b"A=1=2\nODD=" + os.fsencode(odd) + b"\n"
    assert said_by(["/bin/sh", "-c", 'printf %s "$1"', "sh", ""], {"PATH": ""}) == b""
    # whoever started us may have given us one without a name
    assert said_by(["/usr/bin/env"], {"": "x", "A": ""}) == b"=x\nA=\n"


@pytest.mark.parametrize(
    ("argv", "env"),
    [
        (["/bin/true", "a\0b"], {}),
        (["/bin/tr\0ue"], {}),
        (["/bin/true"], {"A": "a\0b"}),
        (["/bin/true"], {"A\0": "b"}),
        (["/bin/true"], {"A=B": "c"}),
    ],
)
def test_what_nobody_can_be_told_is_refused(argv: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"null byte|illegal environment variable name"):
        FileActions().spawn(argv, env)


def test_a_path_is_never_taken_to_end_at_a_null_byte(tmp_path: Path) -> None:
    actions = FileActions()
    with pytest.raises(ValueError, match="null byte"):
        actions.chdir(f"{tmp_path}\0/more")
    with pytest.raises(ValueError, match="null byte"):
        actions.open(0, "/dev/null\0/more", os.O_RDONLY, 0)


@pytest.mark.skipif(not posixspawn._can_close_all(), reason="glibc before 2.34")
def test_what_is_left_open_is_closed_whatever_the_limit_is_by_now(tmp_path: Path) -> None:
    """Somebody else may lower it at any time."""
    program = (
        "import os, resource\nfrom maestro.proc.posixspawn import FileActions\n"
        "def spawn(*argv):\n"
        "    actions = FileActions()\n    actions.close_above(2)\n"
        "    assert os.waitpid(actions.spawn(argv, {}), 0)[1] == 0\n"
        "os.dup2(1, 700)\n"
        "spawn('/bin/true')\n"
        "os.dup2(1, 70)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "spawn('/bin/ls', '/proc/self/fd')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["0", "1", "2", "3"], "")  # 3 is the folder that ls reads


def test_why_nothing_began_is_told_as_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        FileActions().spawn([str(tmp_path / "none")], {})
    assert missing.value.filename == str(tmp_path / "none")
    (tmp_path / "text").write_text("words")
    with pytest.raises(PermissionError):
        FileActions().spawn([str(tmp_path / "text")], {})
    with pytest.raises(OSError, match="too long"):
        FileActions().spawn(["/bin/true", "x" * 5_000_000], {})
    closed = FileActions()
    closed.dup2(9999, 1)
    with pytest.raises(OSError, match=r"[Bb]ad file"):
        closed.spawn(["/bin/true"], {})


def test_it_heeds_the_signals_that_python_ignores() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert code_of(FileActions().spawn(["/bin/sh", "-c", f"kill -{number} $$; exit 0"], {})) == -number


def test_many_threads_start_children_at_once() -> None:
    codes: list[int] = []

    def start(first: int) -> None:
        codes.extend(
            code_of(FileActions().spawn(["/bin/sh", "-c", f"exit {number}"], {})) - number
            for number in range(first, first + 20)
        )

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 160
