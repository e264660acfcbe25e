from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from maestro.proc.family import carries, census, identify, members, resident_bytes, start_time
from maestro.proc.request import MARKER


@contextmanager
def sleeping(**env: str) -> Iterator[int]:
    """A process that sleeps with exactly this environment beside ours."""
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **env}) as popen:
        try:
            yield popen.pid
        finally:
            popen.kill()


def test_exactly_the_marker_counts() -> None:
    mark = uuid.uuid4().hex
    near = [
        {MARKER: mark + "0"},
        {MARKER: "0" + mark},
        {MARKER: ""},
        {"X" + MARKER: mark},
        {"NOTE": f"{MARKER}={mark}"},
        {"A": f"b\n{MARKER}={mark}"},
        {MARKER.lower(): mark},
    ]
    with sleeping(**{MARKER: mark}) as ours:
        found = members(mark)
        for env in near:
            with sleeping(**env) as other:
                assert [one.pid for one in members(mark)] == [ours]
                assert not carries(other, mark)
        assert carries(ours, mark)
        assert found == members(mark)
        assert found[0].started == start_time(ours)
    assert members(mark) == []


def test_the_marker_is_found_as_first_and_as_last_variable() -> None:
    mark = uuid.uuid4().hex
    for env in ({MARKER: mark, "Z": "1"}, {"A": "1", MARKER: mark}, {MARKER: mark}):
        env["MAESTRO_TEST_MARK"] = os.environ["MAESTRO_TEST_MARK"]
        with subprocess.Popen(["/bin/sleep", "60"], env=dict(sorted(env.items()))) as popen:
            assert [one.pid for one in members(mark)] == [popen.pid]
            popen.kill()


def test_ourselves_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = uuid.uuid4().hex
    pid = os.fork()
    if pid == 0:  # a copy of this process that becomes one with the marker and looks for it
        env = {**os.environ, MARKER: mark}
        code = f"from maestro.proc.family import members; raise SystemExit(len(members({mark!r})))"
        os.execve(os.sys.executable, [os.sys.executable, "-c", code], env)  # type: ignore[attr-defined]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_zombie_is_nobody() -> None:
    mark = uuid.uuid4().hex
    popen = subprocess.Popen(["true"], env={**os.environ, MARKER: mark})
    os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    assert identify(popen.pid) is None
    assert start_time(popen.pid) is not None
    assert members(mark) == []
    popen.wait()
    assert start_time(popen.pid) is None


def test_an_environment_of_hundreds_of_kilobytes_is_read_whole() -> None:
    mark = uuid.uuid4().hex
    big = {f"A{n}": "x" * 60_000 for n in range(5)}
    with sleeping(**big, **{"ZZZ": "1", MARKER: mark}) as pid:
        assert [one.pid for one in members(mark)] == [pid]


def test_an_empty_marker_is_refused() -> None:
    with pytest.raises(ValueError, match="empty marker"):
        members("")


def test_a_census_sorts_by_marker() -> None:
    one, two = uuid.uuid4().hex, uuid.uuid4().hex
    with sleeping(**{MARKER: one}) as first, sleeping(**{MARKER: two}) as second, sleeping(**{MARKER: two}) as third:
        found = census()
        assert [p.pid for p in found[one]] == [first]
        assert {p.pid for p in found[two]} == {second, third}


def test_memory_is_summed_and_the_dead_weigh_nothing() -> None:
    mark = uuid.uuid4().hex
    with sleeping(**{MARKER: mark}):
        family = members(mark)
        alone = resident_bytes(family)
        assert 0 < alone < 100 * 2**20
        with sleeping(**{MARKER: mark}):
            assert resident_bytes(members(mark)) > alone
    assert resident_bytes(family) == 0


def test_a_command_name_with_parentheses_is_parsed(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "a) R (b")  # noqa: PTH118
    os.symlink("/bin/sleep", path)  # noqa: PTH211
    with subprocess.Popen([path, "60"]) as popen:
        started = start_time(popen.pid)
        assert started is not None
        assert abs(started - (start_time(os.getpid()) or 0)) < 10_000
        popen.send_signal(signal.SIGKILL)


def test_a_process_in_the_middle_of_exec_is_not_missed() -> None:
    """The parent hears of `exec` before the kernel shows the new environment."""
    mark = uuid.uuid4().hex
    for _ in range(200):
        with subprocess.Popen(["/bin/sleep", "60"], env={**os.environ, MARKER: mark}) as popen:
            found = [one.pid for one in members(mark)]
            popen.kill()
            assert found == [popen.pid]
