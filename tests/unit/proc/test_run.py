from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import maestro.proc.run
from maestro.errors import WorkspaceError
from maestro.proc.family import identify, members, start_time
from maestro.proc.request import MARKER, Exit, ProcessRequest
from maestro.proc.run import Child, adopt, spawn
from maestro.testing.processes import make_request, python, shell, until


@pytest.fixture(params=["as here", "an old C library"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which one can start a child in another directory, and one cannot."""
    if request.param == "an old C library":
        monkeypatch.setattr("maestro.proc.run.can_chdir", lambda: False)


def run(folder: Path, argv: tuple[str, ...], **kwargs: str) -> Exit:
    async def main() -> Exit:
        return await spawn(make_request(folder, argv, **kwargs)).wait()

    return asyncio.run(main())


def kill_group(child: Child, request: ProcessRequest) -> None:
    os.killpg(child.pid, signal.SIGKILL)
    until(lambda: not members(request.env[MARKER]))


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
        ("kill -SEGV $$", 128 + 11),
        ("kill -INT $$", 128 + 2),
    ],
)
def test_exit_status_is_recorded_and_returned(tmp_path: Path, script: str, code: int) -> None:
    ended = run(tmp_path, shell(script))
    assert (ended.code, ended.signal) == (code, None)
    assert (tmp_path / "exit").read_text() == f"{code}\n"
    assert 0 <= ended.seconds < 30


def test_a_missing_command_is_127_and_a_file_without_the_bit_126(tmp_path: Path) -> None:
    assert run(tmp_path, ("no-such-command-at-all",)).code == 127
    assert "not found" in (tmp_path / "stderr").read_text()
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    assert run(tmp_path, (str(plain),)).code == 126


def test_a_builtin_of_the_shell_is_never_run_for_a_command(tmp_path: Path) -> None:
    assert run(tmp_path, ("export", "X=1")).code == 127  # a builtin would say 0
    assert run(tmp_path, ("exit", "5")).code == 127


def test_output_is_appended_and_the_prompt_comes_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("before\n")
    assert run(tmp_path, ("cat",), stdin="a prompt\n" * 3).code == 0
    assert (tmp_path / "stdout").read_text() == "before\n" + "a prompt\n" * 3


def test_without_a_file_standard_input_is_closed(tmp_path: Path) -> None:
    assert run(tmp_path, ("cat",)).code == 0
    assert (tmp_path / "stdout").read_text() == ""


def test_output_and_errors_may_share_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, shell("echo out; echo err >&2; echo out"))
        await spawn(request.evolve(stderr_file=request.stdout_file)).wait()

    asyncio.run(main())
    assert (tmp_path / "stdout").read_text() == "out\nerr\nout\n"


def test_arguments_and_environment_arrive_unchanged(tmp_path: Path) -> None:
    odd = ["a b", "'\"$HOME`", "line\nbreak", "", "-x", "ü\udcff"]
    script = "import os,sys; print(ascii(sys.argv[1:])); print(os.environ['code'], os.environ['f'])"

    async def main() -> None:
        # names the wrapper itself might use
        await spawn(make_request(tmp_path, (*python(script), *odd), env={"code": "x", "f": "y"})).wait()

    asyncio.run(main())
    assert (tmp_path / "stdout").read_text() == f"{odd!a}\nx y\n"


def test_an_odd_folder_name_does_not_confuse_the_wrapper(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "dir" $(touch x) ü\n{0}'
    folder.mkdir()
    assert run(folder, shell("exit 4")).code == 4
    assert (folder / "exit").read_text() == "4\n"


def test_the_child_leads_a_session_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, ("sleep", "30"))
        child = spawn(request)
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
        assert child.pid_started == start_time(child.pid) > 0
        kill_group(child, request)
        ended = await child.wait()
        assert ended.code is None
        assert ended.signal == signal.SIGKILL

    asyncio.run(main())


def test_the_wrapper_survives_the_signals_that_its_command_does_not(tmp_path: Path) -> None:
    async def main() -> Exit:
        child = spawn(make_request(tmp_path, python("import time; print('up', flush=True); time.sleep(30)")))
        while not (tmp_path / "stdout").read_text():
            await asyncio.sleep(0.005)
        os.killpg(child.pid, signal.SIGTERM)
        return await child.wait()

    assert asyncio.run(main()).code == 128 + 15


def test_several_await_the_end_and_again(tmp_path: Path) -> None:
    async def main() -> list[int | None]:
        child = spawn(make_request(tmp_path, shell("exit 6")))
        ended = await asyncio.gather(child.wait(), child.wait())
        return [one.code for one in (*ended, await child.wait())]

    assert asyncio.run(main()) == [6, 6, 6]


def test_a_cancelled_wait_leaves_the_others_waiting(tmp_path: Path) -> None:
    async def main() -> int | None:
        child = spawn(make_request(tmp_path, shell("sleep 0.1; exit 6")))
        first = asyncio.create_task(child.wait())
        await asyncio.sleep(0)
        first.cancel()
        return (await child.wait()).code

    assert asyncio.run(main()) == 6


def test_no_descriptor_and_no_zombie_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            await spawn(make_request(tmp_path, ("true",))).wait()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    asyncio.run(main())


@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_it_has_its_three_descriptors_and_no_other_whatever_is_open_here(tmp_path: Path, closed: str) -> None:
    program = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom maestro.proc import run\n"
        "from maestro.testing.processes import make_request, shell\n"
        f"run.can_chdir = lambda: {maestro.proc.run.can_chdir()}\n"
        "async def main():\n"
        "    script = 'cat; ls /proc/self/fd; echo err >&2'\n"
        "    await run.spawn(make_request(Path(sys.argv[1]), shell(script), stdin='in\\n')).wait()\n"
        "asyncio.run(main())\n"
    )
    argv = [
        "/bin/sh",
        "-c",
        f'exec 7>/dev/null; exec "$@" {closed}',
        "sh",
        sys.executable,
        "-c",
        program,
        str(tmp_path),
    ]
    assert subprocess.run(argv, cwd=Path(__file__).parents[3], check=False).returncode == 0
    # 3 is the folder that ls reads
    assert (tmp_path / "stdout").read_text().split() == ["in", "0", "1", "2", "3"]
    assert (tmp_path / "stderr").read_text() == "err\n"


def test_nothing_starts_where_it_cannot(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, ("touch", str(tmp_path / "ran")))
        with pytest.raises(WorkspaceError, match=r"the directory .*/gone does not exist"):
            spawn(request.evolve(cwd=tmp_path / "gone"))
        with pytest.raises(WorkspaceError, match=r"no such file or directory: .*/absent"):
            spawn(request.evolve(stdin_file=tmp_path / "absent"))
        with pytest.raises(WorkspaceError, match=r"no such file or directory: .*/nowhere/out"):
            spawn(request.evolve(stdout_file=tmp_path / "nowhere" / "out"))
        with pytest.raises(WorkspaceError, match="argument list too long") as caught:
            spawn(request.evolve(argv=("echo", "x" * 3_000_000)))
        assert "standard input" in caught.value.hint
        with pytest.raises(WorkspaceError, match="null byte"):
            spawn(request.evolve(argv=("echo", "a\0b")))
        with pytest.raises(ValueError, match=MARKER):
            spawn(request.evolve(env={}))

    asyncio.run(main())
    assert not (tmp_path / "ran").exists()


def without_the_right_to_pass_everywhere() -> list[str]:
    """What stands before a command so that even root may not enter a folder that is closed."""
    if os.geteuid() != 0:
        return []
    bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*bounded, "true"], check=False).returncode != 0:
        pytest.skip("root cannot give up its rights here")
    return bounded


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
import maestro.proc.run
from maestro.errors import WorkspaceError
from maestro.testing.processes import make_request
can_chdir = {maestro.proc.run.can_chdir()}
maestro.proc.run.can_chdir = lambda: can_chdir
async def main():
    closed = Path(sys.argv[1], "closed")
    for cwd in (closed, closed / "inner"):
        try:
            maestro.proc.run.spawn(make_request(closed.parent, ("true",)).evolve(cwd=cwd))
        except WorkspaceError as error:
            print(error.message)
asyncio.run(main())
"""
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0)
    argv = [*without_the_right_to_pass_everywhere(), sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    inner.parent.chmod(0o700)
    told = [f"'true' could not be started: permission denied: {cwd}" for cwd in (inner.parent, inner)]
    assert (done.stdout.splitlines(), done.stderr) == (told, "")


def test_a_name_that_no_folder_can_have_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, ("touch", str(tmp_path / "ran")))
        with pytest.raises(WorkspaceError, match="file name too long: "):
            spawn(request.evolve(cwd=tmp_path / ("x" * 300)))
        with pytest.raises(WorkspaceError, match=r"the directory .* does not exist"):
            spawn(request.evolve(cwd=Path(f"{tmp_path}\0/x")))

    asyncio.run(main())
    assert not (tmp_path / "ran").exists()


def test_a_status_that_could_not_be_written_is_taken_from_the_kernel(tmp_path: Path) -> None:
    folder = tmp_path / "status"
    folder.mkdir()

    async def main() -> Exit:
        request = make_request(tmp_path, shell(f"rm -r '{folder}'; exit 9"))
        return await spawn(request.evolve(exit_file=folder / "exit")).wait()

    assert asyncio.run(main()).code == 9


def test_an_old_status_does_not_speak_for_a_new_child(tmp_path: Path) -> None:
    async def main() -> Exit:
        (tmp_path / "exit").write_text("0\n")
        request = make_request(tmp_path, ("sleep", "30"))
        child = spawn(request)
        kill_group(child, request)
        return await child.wait()

    assert asyncio.run(main()).code is None


@pytest.mark.parametrize("torn", ["", "1", "12", "x\n", "1\n2\n", "-1\n"])
def test_a_torn_status_is_none(tmp_path: Path, torn: str) -> None:
    (tmp_path / "exit").write_text(torn)

    async def main() -> Exit:
        return await adopt(2**22 - 1, 1.0, marker="gone", exit_file=tmp_path / "exit").wait()

    assert asyncio.run(main()).code is None


def test_a_gone_child_is_adopted_as_ended(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, shell("exit 7"))
        child = spawn(request)
        await child.wait()
        again = adopt(child.pid, child.pid_started, marker=request.env[MARKER], exit_file=request.exit_file)
        ended = await again.wait()
        assert (ended.code, ended.signal) == (7, None)
        assert 0 <= ended.seconds < 30

    asyncio.run(main())


def test_a_pid_that_another_process_has_by_now_counts_as_ended(tmp_path: Path) -> None:
    async def main() -> None:
        request = make_request(tmp_path, ("sleep", "30"))
        child = spawn(request)
        marker, exit_file = request.env[MARKER], tmp_path / "other-exit"
        for pid_started, mark in ((child.pid_started - 5, marker), (child.pid_started, "somebody-else")):
            taken = adopt(child.pid, pid_started, marker=mark, exit_file=exit_file)
            assert (await asyncio.wait_for(taken.wait(), 1)).code is None
        assert identify(child.pid) is not None, "adopting signals nobody"
        kill_group(child, request)
        await child.wait()

    asyncio.run(main())


def test_a_released_child_goes_on(tmp_path: Path) -> None:
    async def main() -> tuple[int, float, str]:
        request = make_request(tmp_path, shell("read line < go; exit 8"))
        os.mkfifo(tmp_path / "go")
        child = spawn(request)
        child.release()
        child.release()
        return child.pid, child.pid_started, request.env[MARKER]

    pid, pid_started, marker = asyncio.run(main())

    async def later() -> Exit:
        child = adopt(pid, pid_started, marker=marker, exit_file=tmp_path / "exit")
        with open(tmp_path / "go", "w") as go:
            go.write("go\n")
        return await child.wait()

    assert asyncio.run(later()).code == 8
    os.waitpid(pid, 0)


def test_waiting_returns_when_the_child_exits_and_not_at_the_next_poll(tmp_path: Path) -> None:
    """E-5. The child says when it ends; a figure below 20 ms is usual, the bound allows for a crowded machine."""
    script = "import time,os; os.write(1, b'%d\\n' % time.clock_gettime_ns(time.CLOCK_MONOTONIC)); os._exit(0)"

    async def main() -> list[float]:
        delays = []
        for _ in range(20):
            await spawn(make_request(tmp_path, python(script))).wait()
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            delays.append((now - int((tmp_path / "stdout").read_text().split()[-1])) / 1e6)
        return sorted(delays)

    delays = asyncio.run(main())
    print(f"exit to wait(): median {delays[10]:.1f} ms, worst {delays[-1]:.1f} ms")
    assert delays[10] < 1000
