"""How the processes of an attempt are, as the kernel tells it of real ones (A-4, E-4)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maestro.proc.family import ProcessId, identify, resident_bytes, stat_fields
from maestro.proc.request import MARKER
from maestro.proc.vitals import Survey, Vital, is_childless, is_connected, proportional_bytes, read_vital
from maestro.testing.processes import until

MIB = 1 << 20


@contextmanager
def child(*argv: str, marker: str = "") -> Iterator[subprocess.Popen[str]]:
    """A child with a marker, that has said its first line."""
    env = {**os.environ, **({MARKER: marker} if marker else {})}
    process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", f"{script}\nprint('ready', flush=True)\ninput()")


@pytest.fixture
def marker() -> str:
    return f"test/{uuid.uuid4().hex}"


def family(survey: Survey, marker: str) -> list[Vital]:
    return survey.look().get(marker, [])


def test_a_family_is_found_with_what_it_uses(marker: str) -> None:
    script = "b = bytearray(64 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\nfor _ in range(5_000_000): pass"
    survey = Survey()
    with child(*python(script), marker=marker) as process:
        until(lambda: family(survey, marker)[0].state == "S")  # waits for a line
        (one,) = family(survey, marker)
        assert one.id.pid == process.pid
        assert one.parent == os.getpid()
        assert one.ticks > 0
        assert 64 * MIB < one.resident < 128 * MIB
        assert abs(one.resident - resident_bytes([one.id])) < 4 * MIB
        assert 60 * MIB < proportional_bytes([one]) <= one.resident + MIB
    assert family(survey, marker) == []
    assert proportional_bytes([one]) == 0


def test_pages_that_a_family_shares_count_once(marker: str) -> None:
    script = (
        "import os\nb = bytearray(64 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        import signal\n        signal.pause()"
    )
    survey = Survey()
    with child(*python(script), marker=marker) as process:
        until(lambda: len(family(survey, marker)) == 4)
        found = family(survey, marker)
        assert sum(one.resident for one in found) > 256 * MIB
        assert proportional_bytes(found) < 100 * MIB
        (parent,) = (one.id for one in found if one.id.pid == process.pid)
        assert not is_childless(parent)
        for one in found:
            if one.id.pid != process.pid:
                os.kill(one.id.pid, signal.SIGKILL)
        until(lambda: len(family(survey, marker)) == 1)
        until(lambda: is_childless(parent))  # zombies do nothing any more; a killed one may take a while to be one


def test_who_is_stopped_is_seen_to_be(marker: str) -> None:
    survey = Survey()
    with child(*python("pass"), marker=marker) as process:
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: [one.state for one in family(survey, marker)] == ["T"])
        os.kill(process.pid, signal.SIGCONT)
        until(lambda: [one.state for one in family(survey, marker)] == ["S"])


def test_the_time_of_an_ended_child_is_its_parents(marker: str) -> None:
    survey = Survey()
    script = f"echo ready; read _; {sys.executable} -S -E -c 'for _ in range(10**7): pass'; echo done; read _"
    with child("sh", "-c", script, marker=marker) as process:
        before = family(survey, marker)[0].ticks
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        (shell,) = family(survey, marker)
        assert shell.ticks > before


def test_who_comes_to_a_marker_by_exec_is_found(marker: str) -> None:
    """A child that has forked and not yet become its command carries the environment of its parent."""
    survey = Survey()
    with child("sh", "-c", f"echo ready; read _; exec env {MARKER}={marker} sh -c 'read _'") as process:
        assert family(survey, marker) == []
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: [one.id.pid for one in family(survey, marker)] == [process.pid])


def test_who_comes_to_another_marker_by_exec_is_counted_there(marker: str) -> None:
    """An attempt of a run within an attempt: what it uses is not that of the outer one."""
    survey, inner = Survey(), f"{marker}/inner"
    script = f"echo ready; read _; exec env {MARKER}={inner} sh -c 'read _'"
    with child("sh", "-c", script, marker=marker) as process:
        assert [one.id.pid for one in family(survey, marker)] == [process.pid]
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: [one.id.pid for one in family(survey, inner)] == [process.pid])
        assert family(survey, marker) == []


def test_strangers_are_not_read_again_for_a_minute(marker: str) -> None:
    now = [0.0]
    read: list[int] = []

    class Counting(Survey):
        def _marker_of(self, vital: Vital, moment: float) -> str | None:
            read.append(vital.id.pid)
            return super()._marker_of(vital, moment)

    with child(*python("pass")) as process, child(*python("pass"), marker=marker) as ours:
        stranger = read_vital(process.pid)
        assert stranger is not None
        now[0] = stranger.id.started + 3
        survey = Counting(lambda: now[0])
        for later, is_read in ((0, True), (1, True), (7, True), (8, False), (60, False), (68, True)):
            read.clear()
            now[0] = stranger.id.started + 3 + later
            survey.look()
            assert (process.pid in read) is is_read, later
            assert ours.pid in read


def test_a_pid_that_is_used_again_is_asked_anew(marker: str) -> None:
    survey = Survey()
    with child(*python("pass"), marker=marker) as process:
        assert len(family(survey, marker)) == 1
        survey._markers[process.pid] = (0.5, "of/an/earlier/process")
        assert len(family(survey, marker)) == 1


def test_connections_are_seen(marker: str) -> None:
    survey = Survey()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        script = f"import socket\ns = socket.create_connection({address!r})"
        with child(*python(script), marker=marker), child(*python("pass"), marker=marker + "/other"):
            accepted, _ = server.accept()
            with accepted:
                assert is_connected(family(survey, marker))
                assert not is_connected(family(survey, marker + "/other"))
            until(lambda: not is_connected(family(survey, marker)))


def test_who_must_not_be_asked_counts_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    one = read_vital(os.getpid())
    assert one is not None

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    assert proportional_bytes([one]) <= one.resident + MIB
    monkeypatch.setattr("builtins.open", refused)
    assert proportional_bytes([one]) == one.resident


def test_nobody_is_there() -> None:
    assert read_vital(2**22 + 1) is None
    assert not Path(f"/proc/{2**22 + 1}").exists()
    assert not is_childless(ProcessId(2**22 + 1, 1.0)), "who is gone is told of by its pidfd"


@pytest.fixture(params=["children are told", "children are not told"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without CONFIG_PROC_CHILDREN."""
    if request.param == "children are not told":
        monkeypatch.setattr("maestro.proc.vitals._children", lambda _: None)


@pytest.mark.usefixtures("kernel")
def test_a_child_that_proc_hides_is_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted with hidepid=2, /proc does not show what runs behind `sudo`."""
    with child("sh", "-c", "sleep 100 & echo ready; echo $!; wait; :") as process:
        assert process.stdout is not None
        shell, sleeper = identify(process.pid), int(process.stdout.readline())
        assert shell is not None
        until(lambda: (one := read_vital(process.pid)) is not None and one.state == "S")
        assert not is_childless(shell)
        with monkeypatch.context() as hidden:
            hidden.setattr("maestro.proc.vitals.stat_fields", lambda pid: stat_fields(pid) if pid == shell.pid else [])
            assert not is_childless(shell)
        os.kill(sleeper, signal.SIGKILL)


@pytest.mark.usefixtures("kernel")
def test_a_stopped_shell_whose_child_has_ended_is_childless() -> None:
    with child("sh", "-c", "sleep 100 & echo ready; echo $!; wait; echo over") as process:
        assert process.stdout is not None
        shell, sleeper = identify(process.pid), int(process.stdout.readline())
        assert shell is not None
        os.kill(process.pid, signal.SIGSTOP)
        until(lambda: (one := read_vital(process.pid)) is not None and one.state == "T")
        assert not is_childless(shell)
        os.kill(sleeper, signal.SIGKILL)
        until(lambda: is_childless(shell))
        assert not is_childless(ProcessId(shell.pid, shell.started - 1)), "another process that had the pid"
