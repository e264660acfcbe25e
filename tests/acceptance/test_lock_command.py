"""`maestro lock`: what its command is given, how it ends, and in which order (I-7)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.store.layout import Layout
from maestro.testing.commandline import command_line, maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.lock_lab import LockLab, alive, ended, guardian_of, lock_lab, said_by, told


@pytest.fixture
def lab(repo: Repository, tmp_path: Path) -> Iterator[LockLab]:
    with lock_lab(repo.path, tmp_path / "lab") as lab:
        yield lab


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
        (("./script",), 3),  # says not what runs it, so a shell does
    ],
)
def test_it_ends_with_the_commands_exit_code(lab: LockLab, command: tuple[str, ...], code: int) -> None:
    script = lab.repository / "script"
    script.write_text("exit 3\n")
    script.chmod(0o755)
    said = lab.run("--", *command)
    assert said.code == code
    assert "Traceback" not in said.err
    assert not lab.now.holders


def test_the_command_has_its_streams_and_a_token_that_grows(lab: LockLab) -> None:
    said = [lab.run("--", "sh", "-c", "cat; echo $MAESTRO_FENCING_TOKEN") for _ in range(2)]
    first, second = (int(one.out) for one in said)
    assert 1_700_000_000 < first < second
    assert said[0].err == ""


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(lab: LockLab, closed: str) -> None:
    """Their numbers must not be taken by the lock's own files."""
    line = f"{sys.executable} -m maestro lock tests -- sh -c 'echo ran >>$LOG; exit 5' {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=lab.repository, env={**os.environ, "LOG": str(lab.log)}, check=False)
    assert done.returncode == 5
    assert lab.lines() == ["ran"]
    assert not lab.now.holders


@pytest.mark.parametrize("command", ["exec env -i {work}", "trap '' TERM; exec env -i {work}", "env -i {work}"])
def test_a_command_over_its_limit_that_has_shed_its_mark(lab: LockLab, command: str) -> None:
    said = lab.run("--limit", "1", "--", "sh", "-c", command.format(work=lab.work))
    assert said.code == 124
    assert "more than 1 s" in said.err
    assert not alive(lab.work)


def test_times_that_are_longer_than_a_poll_can_be(lab: LockLab) -> None:
    holder, gate = lab.hold("--limit", "99999999", script="echo on >>$LOG; read _ <$GATE")
    until(lambda: lab.lines() == ["on"])
    guardian = guardian_of(holder)
    waiter = lab.queue("--wait", "99999999", script="true")
    assert guardian == guardian_of(holder) != 0
    gate.let_through()
    assert [ended(holder), ended(waiter)] == [0, 0]


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e10", "-1"])
@pytest.mark.parametrize("option", ["--limit", "--wait"])
def test_times_that_are_none(lab: LockLab, option: str, seconds: str) -> None:
    said = lab.run(option, seconds, "--", "true")
    assert said.code == 2
    assert option in said.err


def test_status_for_scripts_and_people(lab: LockLab) -> None:
    holder, gate = lab.hold()
    waiter = lab.queue(script="true")
    found = told(lab.run("--status", "--json"))
    assert list(found) == ["name", "capacity", "holders", "queue"]
    assert (found["name"], found["capacity"]) == ("tests", 1)
    assert [list(one) for one in found["holders"]] == [["pid", "task", "since", "token"]]
    assert [one["pid"] for one in found["holders"]] == [holder.pid]
    assert found["holders"][0]["task"] is None
    assert [(one["pid"], list(one)) for one in found["queue"]] == [(waiter.pid, ["pid", "since"])]
    words = lab.run("--status").out
    assert f"held by process {holder.pid}" in words
    assert f"1 waiting, in this order: {waiter.pid}." in words
    gate.let_through()
    assert ended(holder) == 0
    assert ended(waiter) == 0
    assert told(lab.run("--status", "--json")) == {"name": "tests", "capacity": 1, "holders": [], "queue": []}


def test_first_come_first_served(lab: LockLab) -> None:
    holder, gate = lab.hold()
    waiters = [lab.queue(script=f"echo {number} >>$LOG") for number in range(4)]
    gate.let_through()
    assert [ended(one) for one in (holder, *waiters)] == [0] * 5
    assert lab.lines() == [str(number) for number in range(4)]


def test_twelve_processes_that_count_in_one_file(lab: LockLab) -> None:
    counter = lab.folder / "counter"
    counter.write_text("0\n")
    script = f"read n <{counter}; sleep 0.02; echo $((n + 1)) >{counter}; echo $MAESTRO_FENCING_TOKEN >>$LOG"
    calls = [lab.start(script=script) for _ in range(12)]
    assert [ended(one) for one in calls] == [0] * 12
    assert counter.read_text() == "12\n"
    tokens = [int(line) for line in lab.lines()]
    assert tokens == sorted(set(tokens))


def test_the_wait_runs_out(lab: LockLab) -> None:
    _holder, gate = lab.hold()
    behind = lab.queue(script="echo behind >>$LOG")
    said = lab.run("--wait", "0.3", "--", "sh", "-c", "echo ran >>$LOG", env={"LOG": str(lab.log)})
    assert said.code == 124
    assert "The lock tests was not free within 0.3 s: it is held by process" in said.err
    assert lab.run("--wait", "0", "--", "true").code == 124
    last = lab.queue(script="echo last >>$LOG")
    gate.let_through()
    assert (ended(behind), ended(last)) == (0, 0)
    assert lab.lines() == ["behind", "last"]  # it ran nothing, and blocked nobody
    assert lab.run("--wait", "0", "--", "true").code == 0


def test_over_its_limit_the_command_is_stopped_and_the_lock_passes_on(lab: LockLab) -> None:
    holder = lab.start(  # long enough for the next to be in the queue, however busy the machine is
        "--limit", "8", script=f"setsid {lab.work} & trap 'echo told >>$LOG' INT; {lab.work}; {lab.work}"
    )
    until(lambda: bool(lab.now.holders))
    waiter = lab.queue(script="echo next >>$LOG")
    assert ended(holder) == 124
    assert "it held tests for more than 8 s" in said_by(holder)
    assert ended(waiter) == 0
    assert lab.lines()[-1] == "next"
    assert not alive(lab.work)


def test_what_the_command_leaves_running_ends_before_the_next_one(lab: LockLab) -> None:
    holder, gate = lab.hold(script=f"setsid {lab.work} & read _ <$GATE")
    waiter = lab.queue(script=lab.look)
    until(lambda: bool(alive(lab.work)))
    gate.let_through()
    assert (ended(holder), ended(waiter)) == (0, 0)
    assert lab.lines() == ["next"]


def test_what_has_shed_its_mark_ends_too(lab: LockLab) -> None:
    holder, gate = lab.hold(script=f"setsid env -i {lab.work} & read _ <$GATE")
    until(lambda: bool(alive(lab.work)))
    gate.let_through()
    assert ended(holder) == 0
    assert not alive(lab.work)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(lab: LockLab, number: signal.Signals) -> None:
    script = f"trap 'exit 41' {number.name.removeprefix('SIG')}; echo ready >>$LOG; while :; do sleep 0.02; done"
    one = lab.start(script=script)
    until(lambda: lab.lines() == ["ready"])
    os.kill(one.pid, number)
    assert ended(one) == 41


def test_a_waiter_that_is_interrupted_leaves(lab: LockLab) -> None:
    holder, gate = lab.hold()
    waiter = lab.queue(script="true")
    os.kill(waiter.pid, signal.SIGINT)
    assert ended(waiter) == 130
    assert lab.now.queue == ()
    gate.let_through()
    assert ended(holder) == 0


def test_the_same_lock_below_itself_is_refused(lab: LockLab) -> None:
    inner = "python -m maestro lock tests -- true; echo $? >>$LOG; python -m maestro lock other -- true; echo $? >>$LOG"
    said = ended(one := lab.start(script=inner))
    assert said == 0, one
    assert lab.lines() == ["3", "0"]


def test_a_lock_below_another_one_dies_with_it(lab: LockLab) -> None:
    script = f"python -m maestro lock inner -- sh -c 'setsid {lab.work}; true'"
    one = lab.start(script=script)
    until(lambda: bool(alive(lab.work)))
    os.kill(one.pid, signal.SIGKILL)
    until(lambda: not alive(lab.work))
    until(lambda: not lab.now.holders)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("tests",), "Give a command"),
        (("tests", "--status", "--", "true"), "--status runs nothing"),
        (("a/b", "--", "true"), "cannot name a resource"),
        (("tests", "--limit", "0", "--", "true"), "--limit"),
        (("tests", "--scope", "redis", "--", "true"), "--scope"),
        (("tests", "--scope", "run", "--", "true"), "belongs to a run"),
    ],
)
def test_bad_input_is_a_sentence(repo: Repository, args: tuple[str, ...], words: str) -> None:
    said = maestro("lock", *args, cwd=repo.path)
    assert said.code == 2
    assert words in said.err
    assert "Traceback" not in said.err


def test_outside_of_a_repository(tmp_path: Path) -> None:
    said = maestro("lock", "tests", "--", "true", cwd=tmp_path)
    assert said.code == 2
    assert "give --scope machine" in said.err
    assert maestro("lock", "tests", "--scope", "machine", "--", "true", cwd=tmp_path).code == 0


def test_agents_of_a_run_share_the_lock_and_their_results_are_kept(repo: Repository, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0\n")
    (tmp_path / "tasks.json").write_text(json.dumps([{"id": name, "title": name} for name in "abc"]))
    (tmp_path / "agent.sh").write_text(
        f"""
        python -m maestro lock tests -- sh -c '
            read n <{counter}; sleep 0.1; echo $((n + 1)) >{counter}; echo $PYTEST_ADDOPTS >{tmp_path}/$MAESTRO_TASK_ID
            exit $((n + 10))'
        echo $? >$MAESTRO_TASK_ID.txt; git add -A; git commit -qm work
        """
    )
    run = ("run", "--tasks-file", str(tmp_path / "tasks.json"), "--no-tests", "--json", "--run-id", "r1")
    said = maestro(
        *run, "--agent-command", f"sh {tmp_path / 'agent.sh'}", "--max-parallel", "3", cwd=repo.path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert said.code == 0, said.err
    assert counter.read_text() == "3\n"
    layout = Layout(repo.path)
    results = [json.loads((layout.attempt("r1", name, 1) / "tests" / "1.json").read_text()) for name in "abc"]
    assert sorted(one["exit_code"] for one in results) == [10, 11, 12]
    assert all(one["seconds"] >= 0.1 for one in results)
    for name in "abc":
        assert str(layout.attempt("r1", name, 1) / "tests" / "1.xml") in (tmp_path / name).read_text()
    assert (layout.locks / "named" / "tests" / "token").exists()


def test_a_run_under_the_lock_that_it_takes_itself_is_refused(lab: LockLab, tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text('[{"id": "a"}]')
    run = ["run", "--tasks-file", str(tmp_path / "tasks.json"), "--agent-command", "true"]
    under = lab.run("--", *command_line(*run, "--test-command", "true"))
    assert under.code == 2
    assert "this works under the lock tests, which the run takes itself" in under.err.lower()
    assert not (lab.repository / ".flow" / "maestro" / "runs").exists()
    other = maestro("lock", "else", "--", *command_line(*run, "--test-command", "true"), cwd=lab.repository)
    assert "which the run takes itself" not in other.err
    alone = lab.run("--", *command_line(*run, "--no-tests"))
    assert "which the run takes itself" not in alone.err


def test_agents_of_a_run_under_a_lock_work_under_it_too(lab: LockLab, tmp_path: Path) -> None:
    """They are told so, instead of waiting for their own run."""
    (tmp_path / "tasks.json").write_text('[{"id": "a"}]')
    agent = f"{shlex.join(command_line('lock', 'tests', '--', 'true'))}; echo $? >{tmp_path / 'code'}"
    run = ["run", "--tasks-file", str(tmp_path / "tasks.json"), "--no-tests", "--agent-command", agent]
    lab.run("--", *command_line(*run))
    assert (tmp_path / "code").read_text() == "3\n"


def test_agents_of_a_run_under_a_lock_end_with_it(lab: LockLab, tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text('[{"id": "a"}]')
    run = ["run", "--tasks-file", str(tmp_path / "tasks.json"), "--no-tests", "--agent-command", f"exec {lab.work}"]
    holder = lab.start(script=f"exec {shlex.join(command_line(*run))}")
    until(lambda: len(alive(lab.work)) == 1, seconds=60)
    waiter = lab.queue(script=lab.look)
    holder.kill()
    assert ended(waiter) == 0
    assert lab.lines() == ["next"]
