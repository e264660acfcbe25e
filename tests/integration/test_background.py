"""Runs in a process of their own: under way, refused, ended at once, and outliving whoever started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from maestro.background import arguments_of, start_run
from maestro.errors import BadInput, MaestroError
from maestro.store.claims import live_runs
from maestro.store.endings import Looks
from maestro.store.layout import Layout
from maestro.testing.processes import Gate, until
from maestro.testing.repository import Repository
from tests.conftest import processes_with

WORK = 'echo "$MAESTRO_TASK_ID" > "$MAESTRO_TASK_ID.txt" && git add -A && git commit -qm work'


def started(
    repo: Repository, tasks: list[dict[str, Any]], run_id: str, agent: str = WORK, **flags: Any
) -> dict[str, Any]:
    (repo.path.parent / "tasks.json").write_text(json.dumps(tasks))
    arguments = arguments_of({"tasks_file": "../tasks.json", "agent_command": agent, "no_tests": True, **flags})
    return start_run(Layout(repo.path), repo.path, arguments, run_id=run_id, environ=dict(os.environ))


def ended(repo: Repository, run_id: str) -> dict[str, Any]:
    looks = Looks(Layout(repo.path), run_id=run_id)
    until(lambda: not looks.look()["timed_out"], seconds=60)
    until(lambda: not processes_with(f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"))
    return looks.look()


def test_flags_are_written_as_a_user_would() -> None:
    assert arguments_of({"no_tests": True, "keep_going": False, "max_parallel": 3, "group_id": ["a", "-b"]}) == [
        "--no-tests",
        "--max-parallel=3",
        "--group-id=a",
        "--group-id=-b",
    ]


def test_it_returns_while_the_run_goes_on(repo: Repository, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    stands = started(repo, [{"id": "a"}], "bg", agent=f"read _ < {gate.path}; {WORK}")
    assert (stands["run_id"], stands["status"], stands["alive"]) == ("bg", "running", True)
    assert live_runs(Layout(repo.path).locks) == {"bg"}
    gate.let_through()
    assert ended(repo, "bg") == {"run_id": "bg", "status": "completed", "reason": "", "timed_out": False}
    gate.close()
    assert "a.txt" in repo.files("integration/bg")
    log = Layout(repo.path).run("bg") / "coordinator.log"
    assert "a" in log.read_text()
    assert list(Layout(repo.path).runs.glob(".bg*")) == []
    assert repo.git("status", "--porcelain") == ""


def test_what_the_run_refuses_is_raised_in_its_words_and_leaves_nothing(repo: Repository) -> None:
    with pytest.raises(MaestroError, match="in a circle: a → b → a") as refused:
        started(repo, [{"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["a"]}], "bg")
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert [path.name for path in Layout(repo.path).runs.iterdir()] == [".gitignore"]


def test_a_name_that_an_earlier_run_has_and_one_that_is_none(repo: Repository) -> None:
    started(repo, [{"id": "a"}], "bg")
    ended(repo, "bg")
    with pytest.raises(BadInput, match="there is a run bg already"):
        started(repo, [{"id": "a"}], "bg")
    with pytest.raises(BadInput, match="cannot name a run"):
        started(repo, [{"id": "a"}], "../bg")


def test_two_that_start_one_name_at_once_get_one_run(repo: Repository, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    agent = f"read _ < {gate.path}; {WORK}"
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(started, repo, [{"id": "a"}], "bg", agent) for _ in range(2)]
        ends = [one.exception() for one in both]
    gate.let_through()
    (refused,) = (error for error in ends if error is not None)
    assert isinstance(refused, MaestroError)
    assert "run bg" in refused.message.lower()
    assert ended(repo, "bg")["status"] == "completed"
    assert "landed" in (Layout(repo.path).run("bg") / "coordinator.log").read_text()
    assert list(Layout(repo.path).runs.glob(".bg*")) == []
    gate.close()


def test_one_that_cannot_even_start_says_its_last_words(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(MaestroError, match="the run ended before it began, with exit code 1: ") as refused:
        started(repo, [{"id": "a"}], "bg")
    assert "encodings" in refused.value.message or "Python" in refused.value.message
    assert [path.name for path in Layout(repo.path).runs.iterdir()] == [".gitignore"]


def test_one_that_does_not_begin_in_time_is_stopped_with_its_children(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "git").write_text("#!/bin/sh\nsleep 600\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    with pytest.raises(MaestroError, match="did not begin within 2 s"):
        start_run(Layout(repo.path), repo.path, [], run_id="bg", environ=dict(os.environ), limit_seconds=2)
    assert [path.name for path in Layout(repo.path).runs.iterdir()] == [".gitignore"]


def test_who_interrupts_the_start_has_started_nothing(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nsleep 600\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def interrupted(*_: Any) -> bool:
        until((tmp_path / "asked").exists)
        raise KeyboardInterrupt

    monkeypatch.setattr("maestro.background._begins", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_run(Layout(repo.path), repo.path, [], run_id="bg", environ=dict(os.environ))
    assert [path.name for path in Layout(repo.path).runs.iterdir()] == [".gitignore"]
    assert not processes_with(f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}")


def test_nothing_to_do_is_a_result(repo: Repository) -> None:
    started(repo, [{"id": "a"}], "one")
    ended(repo, "one")
    again = started(repo, [{"id": "a"}], "two")
    assert (again["status"], again["alive"], again["tasks"]["a"]["attempts"]) == ("completed", False, 0)


def test_the_run_goes_on_when_its_starter_and_its_group_are_killed(repo: Repository, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    (tmp_path / "tasks.json").write_text('[{"id": "a"}]')
    code = (
        "import os, sys; from pathlib import Path; from maestro.background import start_run; "
        "from maestro.store.layout import Layout; here = Path(sys.argv[1]); "
        "start_run(Layout(here), here, sys.argv[2:], run_id='bg', environ=dict(os.environ)); "
        "print('started', flush=True); sys.stdin.read()"
    )
    arguments = arguments_of(
        {"tasks_file": str(tmp_path / "tasks.json"), "agent_command": f"read _ < {gate.path}; {WORK}", "no_tests": True}
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(repo.path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()
    gate.let_through()
    assert ended(repo, "bg")["status"] == "completed"
    gate.close()
