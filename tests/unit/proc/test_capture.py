from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from maestro.errors import WorkspaceError
from maestro.proc.capture import capture
from maestro.testing.processes import shell, until


def test_output_errors_and_exit_code_are_kept_apart(tmp_path: Path) -> None:
    done = capture(shell("cat; pwd; echo $X >&2; exit 5"), cwd=tmp_path, env={"X": "y"}, stdin=b"in\n")
    assert (done.code, done.stdout, done.stderr) == (5, f"in\n{tmp_path}\n".encode(), b"y\n")
    assert not done.timed_out


@pytest.mark.parametrize(("script", "code"), [("kill -9 $$", 137), ("exit 0", 0), ("no-such-command", 127)])
def test_codes_are_those_of_a_shell(script: str, code: int) -> None:
    assert capture(shell(script)).code == code


def test_what_cannot_be_run_has_the_codes_of_a_shell(tmp_path: Path) -> None:
    assert capture(["no-such-command"]).code == 127
    assert b"no-such-command" in capture(["no-such-command"]).stderr
    plain = tmp_path / "plain"
    plain.write_text("")
    assert capture([str(plain)]).code == 126
    with pytest.raises(WorkspaceError, match="does not exist"):
        capture(["true"], cwd=tmp_path / "gone")


def test_an_overrun_is_killed_with_its_group_and_its_output_kept(tmp_path: Path) -> None:
    began = time.monotonic()
    done = capture(shell("sleep 60 & echo $!; echo said >&2; sleep 60"), timeout_seconds=3)
    assert time.monotonic() - began < 20
    assert (done.timed_out, done.code, done.stderr) == (True, 137, b"said\n")
    until(lambda: not _alive(int(done.stdout)))


def test_something_left_in_the_background_does_not_hold_us_up() -> None:
    done = capture(shell("sleep 60 & echo $!"), timeout_seconds=30)
    os.kill(int(done.stdout), signal.SIGKILL)
    until(lambda: not _alive(int(done.stdout)))
    assert (done.code, done.timed_out) == (0, False)


def test_much_output_is_no_trouble() -> None:
    assert len(capture(shell("head -c 5000000 /dev/zero; head -c 1000000 /dev/zero >&2")).stdout) == 5_000_000


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
