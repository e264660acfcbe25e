"""Real agents that eat memory, stop themselves, spin, sleep or are gone: what the engine sees and does (A-4, E-4)."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from maestro.engine import heartbeat
from maestro.executors.local import LocalExecutor
from maestro.model.events import AttemptEnded, AttemptNoted, AttemptSpawned, AttemptSuspected, Event
from maestro.model.outcome import Failed, FailureKind, Lost
from maestro.model.task import Task
from maestro.proc.family import members
from maestro.proc.ladder import Graces
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.integration.engine_runs import WRITES, EngineRun, states

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(heartbeat, "LIMITED_SECONDS", 0.1)


def eats(mib: int, then: str) -> str:
    """An agent that uses so much and then does something; a line of the shell."""
    fill = f"b = bytearray({mib} << 20); [b.__setitem__(i, 1) for i in range(0, len(b), 4096)]"
    return f"{sys.executable} -S -E -c 'import time; {fill}; {then}'"


def ended_of(run: EngineRun) -> list[AttemptEnded]:
    return [event for event in run.seen.events if isinstance(event, AttemptEnded)]


def suspicions(run: EngineRun) -> list[str | None]:
    return [event.reason for event in run.seen.events if isinstance(event, AttemptSuspected)]


def one(repo: Repository, tmp_path: Path, agent: str, **settings: Any) -> EngineRun:
    return EngineRun(repo, [Task(id="a")], tmp_path / "ws", agent=agent, **{"attempts": 1, **settings})


def test_who_eats_too_much_is_stopped_and_the_others_go_on(repo: Repository, tmp_path: Path) -> None:
    greedy = f'case "$MAESTRO_TASK_ID$MAESTRO_ATTEMPT" in b*/1) {eats(200, "time.sleep(60)")} ;; esac; {WRITES}'
    run = EngineRun(
        repo, [Task(id=name) for name in "abc"], tmp_path / "ws", agent=greedy, attempts=2, attempt_memory_mb=100,
        stop_interrupt_seconds=1,
    )  # fmt: skip
    assert states(run.go()) == dict.fromkeys("abc", "landed")
    outcomes = [event.outcome for event in ended_of(run) if event.task == "b"]
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].failure is FailureKind.MEMORY
    used = re.fullmatch(r"memory: (\d+) MiB used, the limit is 100 MiB", outcomes[0].reason)
    assert used is not None, outcomes[0].reason
    assert 100 < int(used[1]) < 230
    assert len(outcomes) == 2, "it counts as a failed attempt, and there was another"
    assert suspicions(run) == []


def test_setup_commands_count_as_well(repo: Repository, tmp_path: Path) -> None:
    setup = eats(200, "time.sleep(60)")
    run = one(repo, tmp_path, WRITES, setup=[setup], attempt_memory_mb=100, stop_interrupt_seconds=1)
    assert states(run.go()) == {"a": "failed"}
    (ended,) = ended_of(run)
    assert isinstance(ended.outcome, Failed)
    assert ended.outcome.failure is FailureKind.MEMORY
    assert ended.peak_memory_bytes is not None
    assert ended.peak_memory_bytes > 100 * MIB


def test_a_suspected_setup_command_that_ends_is_cleared(repo: Repository, tmp_path: Path) -> None:
    run = one(repo, tmp_path, WRITES, setup=["sleep 2"], suspect_after=1)
    assert states(run.go()) == {"a": "landed"}
    first, second = suspicions(run)
    assert "`sleep 2`" in str(first)
    assert second is None


def test_what_children_use_counts_and_what_they_share_counts_once(repo: Repository, tmp_path: Path) -> None:
    fork = "import os; [os.fork() or time.sleep(1.5) or os._exit(0) for _ in range(3)]; time.sleep(1.5)"
    run = one(repo, tmp_path, f"{eats(60, fork)}; {WRITES}", attempt_memory_mb=150)
    assert states(run.go()) == {"a": "landed"}
    peak = ended_of(run)[0].peak_memory_bytes
    assert peak is not None
    assert 60 * MIB < peak < 150 * MIB
    three = " & ".join([eats(60, "time.sleep(60)")] * 3) + " & wait"
    run = EngineRun(
        repo, [Task(id="b")], tmp_path / "ws2", agent=three, run_id="r2", attempts=1, attempt_memory_mb=150,
        stop_interrupt_seconds=1,
    )  # fmt: skip
    assert "memory: 1" in run.go().tasks["b"].reason


def test_without_a_limit_any_amount_is_right_and_the_peak_is_known(repo: Repository, tmp_path: Path) -> None:
    run = one(repo, tmp_path, f"{eats(150, 'time.sleep(2)')}; {WRITES}")
    ended = run.go()
    assert states(ended) == {"a": "landed"}
    peak = ended.tasks["a"].attempts[-1].peak_memory_bytes
    assert peak is not None
    assert 150 * MIB < peak < 250 * MIB
    assert ended.metrics["peak_memory_bytes"] == peak


def test_a_sleeper_is_suspected_and_let_be(repo: Repository, tmp_path: Path) -> None:
    run = one(repo, tmp_path, f"sleep 2.5; {WRITES}", suspect_after=1)
    assert states(run.go()) == {"a": "landed"}
    (reason,) = filter(None, suspicions(run))
    assert "processor time for 1 s" in reason
    assert "its newest process is `sleep 2.5`" in reason


def test_a_spinner_is_well_and_said_to_be_once(repo: Repository, tmp_path: Path) -> None:
    spin = f"{sys.executable} -S -E -c 'import time; t = time.time()\nwhile time.time() < t + 3: pass'"
    run = one(repo, tmp_path, f"{spin}; {WRITES}", suspect_after=1)
    assert states(run.go()) == {"a": "landed"}
    assert suspicions(run) == []
    notes = [event.note for event in run.seen.events if isinstance(event, AttemptNoted)]
    assert notes == ["no output for 1 s, but its processes are at work"]


def test_who_stops_itself_is_suspected_until_it_goes_on(repo: Repository, tmp_path: Path) -> None:
    """Somebody pressed ^Z, or a debugger holds it."""
    agent = f"""{sys.executable} -S -E -c 'import os, signal; os.kill(os.getppid(), signal.SIGSTOP);
os.kill(os.getpid(), signal.SIGSTOP)'; echo awake; sleep 0.5; {WRITES}"""
    run = one(repo, tmp_path, agent, suspect_after=1)

    def wake(event: Event) -> None:
        if isinstance(event, AttemptSuspected) and event.reason is not None:
            for process in processes_of(event.attempt_id):
                os.kill(process, signal.SIGCONT)

    run.seen.react = wake
    assert states(run.go()) == {"a": "landed"}
    stopped, again = suspicions(run)
    assert str(stopped).startswith("all its processes are stopped, as by SIGSTOP; its newest process is `")
    assert again is None


def processes_of(marker: str) -> list[int]:
    return [process.pid for process in members(marker)]


def test_output_is_a_sign_of_life_also_of_an_agent_that_does_not_stream(repo: Repository, tmp_path: Path) -> None:
    agent = f"for n in 1 2 3 4 5 6 7 8; do echo $n >&2; sleep 0.3; done; {WRITES}"
    run = one(repo, tmp_path, agent, suspect_after=1)
    assert states(run.go()) == {"a": "landed"}
    assert suspicions(run) == []


def test_when_only_its_shell_is_left_the_attempt_ends_with_what_it_did(repo: Repository, tmp_path: Path) -> None:
    """The shell around the command is stopped, so nobody is told of the command's end; no clock has to run out."""
    run = one(repo, tmp_path, f"touch {tmp_path}/begun; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; {WRITES}")

    def freeze(event: Event) -> None:
        if isinstance(event, AttemptSpawned):
            until((tmp_path / "begun").exists)
            os.kill(event.pid, signal.SIGSTOP)
            (tmp_path / "go").touch()

    run.seen.react = freeze
    started = time.monotonic()
    assert states(run.go()) == {"a": "landed"}
    assert time.monotonic() - started < 20


def test_a_shell_that_cannot_be_woken_is_lost_and_tried_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a disk that does not answer, say: here it is stopped again as soon as it is woken."""
    agent = f"touch {tmp_path}/begun-$MAESTRO_TASK_ID; exec sleep 1000"
    run = one(repo, tmp_path, agent, attempts=1)
    soon = Graces(interrupt_seconds=0.2, terminate_seconds=0.2, kill_seconds=0.2)
    run.replace(executor=LocalExecutor(soon))

    def kill_the_command(event: Event) -> None:
        if isinstance(event, AttemptSpawned):
            until((tmp_path / "begun-a").exists)
            monkeypatch.setattr("maestro.proc.ladder.signal.SIGCONT", signal.SIGSTOP)
            os.kill(event.pid, signal.SIGSTOP)
            for process in processes_of(event.attempt_id):
                if process != event.pid:
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)

    run.seen.react = kill_the_command
    assert states(run.go()) == {"a": "failed"}
    (ended,) = ended_of(run)
    assert isinstance(ended.outcome, Lost)
    assert "nothing of it is left but the shell" in ended.outcome.reason


def test_an_agent_that_hides_its_marker_is_left_alone(repo: Repository, tmp_path: Path) -> None:
    """`env -i`: nothing of it can be found by the marker, but the kernel knows whose child it is."""
    agent = "exec env -i PATH=$PATH HOME=$HOME T=$MAESTRO_TEST_MARK sh -c 'sleep 4'"
    run = one(repo, tmp_path, agent, suspect_after=1.5)
    assert states(run.go()) == {"a": "failed"}
    (ended,) = ended_of(run)
    assert isinstance(ended.outcome, Failed)
    assert ended.outcome.failure is FailureKind.NO_COMMIT
    assert suspicions(run) == []


def test_a_look_that_fails_costs_no_attempt(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = one(repo, tmp_path, f"sleep 1; {WRITES}")
    looks: list[None] = []
    monkeypatch.setattr("maestro.proc.vitals.Survey.look", lambda _: looks.append(None) or 1 / 0)
    assert states(run.go()) == {"a": "landed"}
    assert len(looks) > 1
    assert caplog.text.count("could not be looked at") == 1, "what fails at each look is said once"


def test_a_look_that_was_given_up_ends_before_the_next_one(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes long, on a machine that has no time, still goes on in its thread when its attempt has ended."""
    run = EngineRun(
        repo, [Task(id=name) for name in "abc"], tmp_path / "ws", agent=f"sleep 0.3; {WRITES}", max_parallel=1
    )
    at_once, most = [0], [0]

    def slow(_: object) -> dict[str, Any]:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(1)
        at_once[0] -= 1
        return {}

    monkeypatch.setattr("maestro.proc.vitals.Survey.look", slow)
    assert states(run.go()) == dict.fromkeys("abc", "landed")
    assert most == [1]


def test_nothing_is_looked_at_while_nothing_runs(repo: Repository, tmp_path: Path) -> None:
    run = one(repo, tmp_path, f"sleep 0.3; {WRITES}", test_command="sleep 1")
    looks: list[float] = []
    survey = run.context.heartbeats._survey
    monkey = survey.look

    def look() -> Any:
        looks.append(time.monotonic())
        return monkey()

    survey.look = look  # type: ignore[method-assign]
    assert states(run.go()) == {"a": "landed"}
    assert looks
    assert run.context.heartbeats._beating is None
    assert len(looks) < 15, looks
