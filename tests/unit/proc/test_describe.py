"""What is said of a process is what the kernel says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maestro.proc.describe import ancestors, can_be_read, owner, program, started_at, writers_of
from maestro.proc.family import identify, variable_of

HOLDS = "import sys; files = [open(sys.argv[1], 'a'), open(sys.argv[2])]; print(flush=True); sys.stdin.read()"


def test_a_child_is_described(tmp_path: Path) -> None:
    written, read = tmp_path / "written", tmp_path / "read"
    read.touch()
    before = datetime.now(UTC)
    env = {**os.environ, "SOME_NAME": "a=b"}
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, written, read], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        one = identify(child.pid)
        assert one is not None
        assert program(child.pid) == Path(sys.executable).name
        assert before - timedelta(seconds=1) < started_at(one) < datetime.now(UTC) + timedelta(seconds=1)
        assert next(ancestors(child.pid)) == os.getpid()
        assert (owner(child.pid), can_be_read(child.pid)) == (None, True)
        assert (variable_of(child.pid, "SOME_NAME"), variable_of(child.pid, "SOME")) == ("a=b", None)
        assert writers_of([str(written), str(read)]) == {str(written): one}
        written.unlink()
        assert writers_of([str(written)]) == {str(written): one}
    finally:
        child.communicate()
    assert writers_of([str(written)]) == {}
    assert program(child.pid) == "?"
    assert (owner(child.pid), variable_of(child.pid, "SOME_NAME"), list(ancestors(child.pid))) == (None, None, [])


def test_who_holds_a_file_here_is_not_said_of_ourselves(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w"):
        assert writers_of([str(tmp_path / "file")]) == {}
