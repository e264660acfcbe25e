"""The stop ladder, the sweep and adoption with real families of processes."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from maestro.executors.local import LocalExecutor, LocalProcess
from maestro.proc.family import ProcessId, members
from maestro.proc.ladder import Descent, Graces, Rung, descend
from maestro.proc.request import MARKER, Exit
from maestro.testing.processes import make_request, python, shell, until

QUICK = Graces(interrupt_seconds=0.4, terminate_seconds=0.4, kill_seconds=10)
PATIENT = Graces(interrupt_seconds=20, terminate_seconds=20, kill_seconds=20)
DAEMON = """
import os, signal, time
if (between := os.fork()) == 0:
    os.setsid()
    if os.fork() == 0:
        {extra}
        os.closerange(0, 3)
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(120)
    os._exit(0)
os.waitpid(between, 0)
while not os.path.exists("daemon"): time.sleep(0.005)
"""


async def appears(path: Path) -> str:
    """Content of a file that a child writes when it is ready."""
    while not (path.exists() and path.read_text()):
        await asyncio.sleep(0.005)
    return path.read_text()


async def start(folder: Path, argv: tuple[str, ...], graces: Graces = PATIENT, marker: str = "") -> LocalProcess:
    return await LocalExecutor(graces).start(make_request(folder, argv, marker=marker))


SLEEPS = "while True: time.sleep(0.05)"
"""An interrupt that comes just before Python's `sleep` is heard only after it; one that comes while a file is closed by
nobody's hand never, since its KeyboardInterrupt is swallowed there."""


def ready(rest: str = SLEEPS, *, ignore: str = "") -> tuple[str, ...]:
    ignored = "".join(f"signal.signal(signal.SIG{name}, signal.SIG_IGN);" for name in ignore.split())
    return python(f"import os,signal,time;{ignored}f=open('ready','w');f.write(str(os.getpid()));f.close()\n{rest}")


@pytest.mark.parametrize(
    ("ignore", "rung", "code"),
    [("", Rung.INTERRUPT, 130), ("INT", Rung.TERMINATE, 143), ("INT TERM HUP", Rung.KILL, 137)],
)
def test_each_rung_is_reached_and_the_status_recorded(tmp_path: Path, ignore: str, rung: Rung, code: int) -> None:
    async def main() -> tuple[Descent, Exit]:
        request = make_request(tmp_path, ready(ignore=ignore))
        child = await LocalExecutor().start(request)
        await appears(tmp_path / "ready")
        # only the rungs that are ignored are short: a busy machine may take its time for the last
        graces = Graces(
            interrupt_seconds=0.3 if "INT" in ignore else 60,
            terminate_seconds=0.3 if "TERM" in ignore else 60,
            kill_seconds=60,
        )
        recorder = ProcessId(child.pid, child.pid_started)
        done = await descend(request.env[MARKER], recorder=recorder, graces=graces)
        return done, await child.wait()

    done, ended = asyncio.run(main())
    assert (done.ended_by, done.stopped, done.left) == (rung, 1, ())
    # Python turns INT into KeyboardInterrupt and then dies by it; the shell says 128 + 2 either way
    assert ended.code == code
    assert (tmp_path / "exit").read_text() == f"{code}\n"


def test_a_well_behaved_family_is_stopped_without_waiting_out_a_grace(tmp_path: Path) -> None:
    async def main() -> float:
        child = await start(tmp_path, ready())
        await appears(tmp_path / "ready")
        began = time.monotonic()
        await child.stop("a test")
        return time.monotonic() - began

    assert asyncio.run(main()) < PATIENT.interrupt_seconds / 2


def test_a_stopped_process_is_woken_to_take_its_signal(tmp_path: Path) -> None:
    async def main() -> Exit:
        child = await start(tmp_path, ready(f"os.kill(os.getpid(), signal.SIGSTOP)\n{SLEEPS}"))
        await appears(tmp_path / "ready")
        stat = Path("/proc") / (tmp_path / "ready").read_text() / "stat"
        until(lambda: ") T " in stat.read_text())
        await child.stop("a test")
        return await child.wait()

    assert asyncio.run(main()).code == 130


def test_two_stops_are_one_and_a_stop_after_the_end_is_none(tmp_path: Path) -> None:
    async def main() -> None:
        child = await start(tmp_path, ready())
        await appears(tmp_path / "ready")
        await asyncio.gather(child.stop("one"), child.stop("two"))
        assert (await child.wait()).code == 130
        await child.stop("three")

    asyncio.run(main())


def test_a_stop_right_after_the_start_stops(tmp_path: Path) -> None:
    async def main() -> None:
        for _ in range(10):
            child = await start(tmp_path, ("sleep", "120"), Graces(interrupt_seconds=5))
            await child.stop("changed its mind")
            assert (await child.wait()).code is not None

    asyncio.run(main())


@pytest.mark.parametrize("extra", ["pass", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_daemon_outlives_its_command_but_not_the_sweep(tmp_path: Path, extra: str) -> None:
    async def main() -> tuple[int | None, int, int]:
        child = await start(tmp_path, python(DAEMON.format(extra=extra)), QUICK)
        ended = await child.wait()
        daemon = int((tmp_path / "daemon").read_text())
        assert os.getsid(daemon) != child.pid
        assert child.resident_bytes() > 0
        return ended.code, await child.sweep(), await child.sweep()

    assert asyncio.run(main()) == (0, 1, 0)


def test_nohup_and_background_jobs_are_swept(tmp_path: Path) -> None:
    async def main() -> int:
        child = await start(tmp_path, shell("nohup setsid sleep 120 & sleep 120 & (sleep 120 &) ; exit 0"))
        assert (await child.wait()).code == 0
        return await child.sweep()

    assert asyncio.run(main()) == 3


def test_the_ladder_takes_the_daemon_with_the_command(tmp_path: Path) -> None:
    async def main() -> None:
        script = DAEMON.format(extra="pass") + "\nopen('ready','w').write('1'); time.sleep(120)"
        request = make_request(tmp_path, python(script))
        child = await LocalExecutor(QUICK._replace(terminate_seconds=20)).start(request)
        await appears(tmp_path / "ready")
        until(lambda: len(members(request.env[MARKER])) == 3)  # wrapper, command, daemon
        await child.stop("a test")
        assert members(request.env[MARKER]) == []
        assert child.resident_bytes() == 0
        assert (await child.wait()).code in (130, 143)

    asyncio.run(main())


def test_bystanders_are_never_signalled(tmp_path: Path) -> None:
    """Same command line, same process group, a marker that begins with ours: none of them is ours."""
    mark = f"attempt-{uuid.uuid4().hex}"
    sleeper = ["sleep", "97"]

    def other(**kwargs: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(sleeper, **kwargs)  # type: ignore[call-overload, no-any-return]

    async def main() -> None:
        child = await start(tmp_path, tuple(sleeper), marker=mark)
        bystanders = [
            other(),
            other(env={**os.environ, MARKER: mark + "0"}),
            other(env={**os.environ, MARKER: "my-" + mark}),
            other(env={**os.environ, "NOTE": f"{MARKER}={mark}"}),
        ]
        ours = other(env={**os.environ, MARKER: mark})  # in the process group of the bystanders
        assert os.getpgid(ours.pid) == os.getpgid(bystanders[0].pid)
        try:
            await child.stop("a test")
            assert (await child.wait()).code == 130
            assert ours.wait(10) == -signal.SIGINT
            assert [one.poll() for one in bystanders] == [None] * 4
        finally:
            for one in [*bystanders, ours]:
                one.kill()
                one.wait()

    asyncio.run(main())


def test_a_family_that_breeds_while_it_is_stopped_ends(tmp_path: Path) -> None:
    """Each of them ignores INT and TERM, and for a while replaces itself by two."""
    script = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + 1
open("ready", "w").write("1")
depth = 0
while time.monotonic() < end:
    if depth < 5 and os.fork() == 0:
        os.setsid(); depth += 1
        continue
    time.sleep(0.02)
    if depth and os.fork() != 0: os._exit(0)
time.sleep(120)
"""

    async def main() -> None:
        request = make_request(tmp_path, python(script))
        child = await LocalExecutor().start(request)
        await appears(tmp_path / "ready")
        until(lambda: len(members(request.env[MARKER])) > 5)  # with the wrapper
        graces = Graces(interrupt_seconds=0.1, terminate_seconds=0.1, kill_seconds=30)
        done = await descend(request.env[MARKER], recorder=ProcessId(child.pid, child.pid_started), graces=graces)
        assert done.ended_by is Rung.KILL
        assert done.stopped >= 5
        assert members(request.env[MARKER]) == []
        assert (await child.wait()).code == 137

    asyncio.run(main())


def test_nothing_to_stop_is_said(tmp_path: Path) -> None:
    assert asyncio.run(descend("nobody-has-this")) == Descent(ended_by=Rung.NONE)


def test_a_hundred_megabytes_of_output_do_not_pass_through_us(tmp_path: Path) -> None:
    async def main() -> int | None:
        child = await start(tmp_path, shell("head -c 100000000 /dev/zero"))
        return (await child.wait()).code

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert asyncio.run(main()) == 0
    assert (tmp_path / "stdout").stat().st_size == 100_000_000
    (tmp_path / "stdout").unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


COORDINATOR = """
import asyncio, json, os, sys
from maestro.executors.local import LocalExecutor
from maestro.proc.request import ProcessRequest
async def main():
    child = await LocalExecutor().start(ProcessRequest.model_validate_json(sys.argv[1]))
    print(json.dumps([child.pid, child.pid_started]), flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


@pytest.mark.parametrize("recorded", [True, False], ids=["", "its pid was not written down"])
@pytest.mark.parametrize("how", ["ends", "is stopped", "wrapper killed"])
def test_a_child_of_a_killed_coordinator_is_adopted(tmp_path: Path, how: str, recorded: bool) -> None:
    os.mkfifo(tmp_path / "go")
    request = make_request(tmp_path, ready("open('go').read(); raise SystemExit(11)"))
    first = subprocess.run([sys.executable, "-c", COORDINATOR, request.model_dump_json()], stdout=subprocess.PIPE)
    assert first.returncode == -9
    pid, pid_started = json.loads(first.stdout)

    async def resume() -> Exit:
        await appears(tmp_path / "ready")
        known = (pid, pid_started) if recorded else None
        child = LocalExecutor(PATIENT).adopt(known, marker=request.env[MARKER], exit_file=request.exit_file)
        assert child is not None
        assert (child.pid, child.pid_started) == (pid, pid_started)
        assert child.resident_bytes() > 0
        if how == "ends":
            (tmp_path / "go").write_text("go")
        elif how == "is stopped":
            await child.stop("a test")
        else:
            os.kill(pid, signal.SIGKILL)
        ended = await asyncio.wait_for(child.wait(), 20)
        assert await child.sweep() == (1 if how == "wrapper killed" else 0)
        return ended

    ended = asyncio.run(resume())
    assert ended.code in {"ends": (11,), "is stopped": (130, 143), "wrapper killed": (None,)}[how]
    assert 0 < ended.seconds < 60


def test_what_has_ended_before_its_pid_was_written_down_is_adopted_by_its_exit_file(tmp_path: Path) -> None:
    exit_file = tmp_path / "exit"
    exit_file.write_text("7\n")

    async def resume() -> Exit:
        child = LocalExecutor(QUICK).adopt(None, marker="t/r/a/1", exit_file=exit_file)
        assert child is not None
        return await child.wait()

    assert asyncio.run(resume()).code == 7


def test_what_was_never_started_is_not_adopted(tmp_path: Path) -> None:
    async def resume() -> object:
        return LocalExecutor(QUICK).adopt(None, marker="t/r/a/1", exit_file=tmp_path / "exit")

    assert asyncio.run(resume()) is None
