"""^C, SIGTERM and kill -9: work finishes or is saved, nothing runs on unseen, the checkout stays as it was (E-7)."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, check_sound

pytestmark = pytest.mark.usefixtures("unharmed")

Start = Callable[..., Started]

CHAIN = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}]
QUICK_STOP = {"MAESTRO_STOP_INTERRUPT_SECONDS": "0.2", "MAESTRO_STOP_TERMINATE_SECONDS": "0.2"}


def waits(here: Path, go: Path) -> str:
    return f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; '


def test_the_first_interrupt_lets_running_work_land(repo: Repository, start: Start, tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start(CHAIN, agent=waits(here, go) + WRITES_ONE_FILE)
    started.until(here)
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    go.touch()
    said = started.end()
    assert said.code == 130, said.err
    assert said.json["status"] == "interrupted"
    assert said.statuses() == {"a": "landed", "b": "pending"}
    assert repo.show(said.json["integration_branch"], "out-a.txt") == "a"


def test_the_second_interrupt_saves_and_stops_within_seconds(repo: Repository, start: Start, tmp_path: Path) -> None:
    here = tmp_path / "here"
    agent = f"{WRITES_ONE_FILE}; echo half > half.txt; touch {here}; trap '' INT TERM; while :; do sleep 50; done"
    started = start(CHAIN, agent=agent, env=QUICK_STOP)
    started.until(here)
    begin = time.monotonic()
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    started.send(signal.SIGINT)
    said = started.end()
    assert time.monotonic() - begin < 10
    assert said.code == 130, said.err
    assert said.json["status"] == "interrupted"
    assert said.statuses() == {"a": "cancelled", "b": "pending"}
    saved = said.json["tasks"]["a"]["saved_ref"]
    assert {"out-a.txt", "half.txt"} <= set(repo.files(saved))
    assert "Traceback" not in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_machine_that_shuts_down_stops_the_run_at_once(
    repo: Repository, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    here = tmp_path / "here"
    started = start(CHAIN, agent=f"{WRITES_ONE_FILE}; touch {here}; sleep 100")
    started.until(here)
    started.send(number)
    said = started.end(20)
    assert said.code == 130, said.err
    assert said.json["status"] == "interrupted"
    assert said.statuses() == {"a": "cancelled", "b": "pending"}
    assert repo.files(said.json["tasks"]["a"]["saved_ref"]) == ["README.md", "out-a.txt"]


def test_the_grace_time_ends_by_itself(start: Start, tmp_path: Path) -> None:
    here = tmp_path / "here"
    env = {**QUICK_STOP, "MAESTRO_GRACE_SECONDS": "0.5"}
    started = start([{"id": "a"}], agent=f"touch {here}; sleep 100", env=env)
    started.until(here)
    started.send(signal.SIGINT)
    said = started.end(20)
    assert said.code == 130, said.err
    assert "grace time of 0.5 s" in said.json["tasks"]["a"]["reason"]


def test_an_interrupt_during_the_gate_lets_it_end(repo: Repository, start: Start, tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start(CHAIN, tests=waits(here, go) + "true")
    started.until(here)
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    go.touch()
    said = started.end()
    assert said.code == 130, said.err
    assert said.statuses() == {"a": "landed", "b": "pending"}


def test_two_interrupts_during_the_gate_save_what_waits(repo: Repository, start: Start, tmp_path: Path) -> None:
    here = tmp_path / "here"
    started = start(CHAIN, tests=f"touch {here}; sleep 100", env=QUICK_STOP)
    started.until(here)
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    started.send(signal.SIGINT)
    said = started.end(20)
    assert said.code == 130, said.err
    assert said.statuses() == {"a": "cancelled", "b": "pending"}
    assert "out-a.txt" in repo.files(said.json["tasks"]["a"]["saved_ref"])


@pytest.mark.parametrize("where", ["agent", "gate"])
def test_two_interrupts_during_setup(start: Start, tmp_path: Path, where: str) -> None:
    here = tmp_path / "here"
    mine = "gate__bench" if where == "gate" else "task-a"
    slow = f'case "$PWD" in *{mine}*) touch {here}; sleep 100;; esac'
    env = {**QUICK_STOP, "MAESTRO_SETUP": slow}
    started = start(CHAIN, env=env, tests="true")
    started.until(here)
    started.send(signal.SIGINT)
    started.until_said("nothing new is started")
    started.send(signal.SIGINT)
    said = started.end(20)
    assert said.code == 130, said.err
    assert said.statuses() == {"a": "cancelled", "b": "pending"}, said.json
    assert "interrupted" in said.json["tasks"]["a"]["reason"]


def test_interrupts_while_it_is_only_beginning_are_one_object(repo: Repository, start: Start) -> None:
    started = start([{"id": str(number)} for number in range(500)], "--max-parallel", "1", agent="sleep 100")
    started.until(repo.path / ".flow" / "maestro" / "locks")
    for _ in range(3):
        started.send(signal.SIGINT)
        time.sleep(0.05)
    said = started.end(30)
    assert said.code in (130, -signal.SIGINT), said.err  # both are 130 to a shell; the third may find it leaving
    assert isinstance(said.json, dict)
    assert "Traceback" not in said.err


def test_a_killed_coordinator_leaves_what_is_needed_to_go_on(
    repo: Repository, start: Start, run: Run, tmp_path: Path
) -> None:
    here, go, ended = tmp_path / "here", tmp_path / "go", tmp_path / "ended"
    agent = f'{WRITES_ONE_FILE}; {waits(here, go)} echo half > half.txt; echo "at the end"; touch "{ended}"'
    started = start(CHAIN, "--run-id", "first", agent=agent)
    started.until(here)
    started.process.kill()
    started.process.communicate()
    go.touch()
    deadline = time.monotonic() + 60
    exits = repo.path / ".flow/maestro/runs/first/attempts/a/1/exit"
    while not exits.exists() or not exits.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert exits.read_text() == "0\n"
    assert "at the end" in (exits.parent / "stdout").read_text()

    listed = maestro("list", "--json", cwd=repo.path)
    assert listed.code == 0
    status = maestro("status", "--json", cwd=repo.path)
    assert status.code == 0
    assert [(one["alive"], one["reason"]) for one in status.json["runs"]] == [
        (False, "its coordinator died before the end")
    ]

    said = run(CHAIN, "--run-id", "second")  # over the same backlog
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed", "b": "landed"}

    dry = maestro("clean", "--dry-run", "--json", cwd=repo.path)
    assert [one["state"] for one in dry.json["workspaces"]] == ["unlanded"]
    kept = maestro("clean", "--json", cwd=repo.path)
    assert not kept.json["workspaces"][0]["removed"]
    cleaned = maestro("clean", "--force", "--json", cwd=repo.path)
    assert cleaned.code == 0, cleaned.err
    assert set(repo.files("refs/maestro/saved/first/a")) == {"README.md", "out-a.txt", "half.txt"}
    refs = repo.git("for-each-ref", "--format=%(refname)", "refs/heads/maestro").splitlines()
    assert refs == []


def test_a_coordinator_killed_during_the_gate_leaves_nothing_to_save_there(
    repo: Repository, start: Start, tmp_path: Path
) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start([{"id": "a"}], "--run-id", "first", tests=waits(here, go) + "true")
    started.until(here)
    started.process.kill()
    started.process.communicate()
    go.touch()
    exit_file = repo.path / ".flow/maestro/runs/first/gates/1/exit"
    deadline = time.monotonic() + 60
    while not exit_file.exists():
        assert time.monotonic() < deadline, list((repo.path / ".flow/maestro/runs/first").rglob("exit"))
        time.sleep(0.02)
    cleaned = maestro("clean", "--force", "--json", cwd=repo.path)
    assert cleaned.code == 0, cleaned.err
    saved = {one["task"]: one["saved_ref"] for one in cleaned.json["workspaces"]}
    assert saved == {"a": "refs/maestro/saved/first/a", "gate__bench": None}
    assert repo.git("for-each-ref", "refs/heads/maestro") == ""


def test_a_workspace_of_a_live_run_is_left_alone_by_clean(repo: Repository, start: Start, tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start([{"id": "a"}], agent=waits(here, go) + WRITES_ONE_FILE)
    started.until(here)
    cleaned = maestro("clean", "--force", "--json", cwd=repo.path)
    assert [(one["state"], one["removed"]) for one in cleaned.json["workspaces"]] == [("live", False)]
    go.touch()
    said = started.end()
    assert said.code == 0, said.err
    check_sound(repo)


def test_an_orphaned_agent_is_still_stoppable_by_its_marker(repo: Repository, start: Start, tmp_path: Path) -> None:
    """kill -9 of the coordinator ends no agent: whoever finds them knows them by their environment."""
    here = tmp_path / "here"
    started = start(
        [{"id": "a"}], "--run-id", "gone", agent=f'echo $$ > "{here}.new"; mv "{here}.new" "{here}"; exec sleep 100'
    )
    started.until(here)
    started.process.kill()
    started.process.communicate()
    pid = int(here.read_text())
    try:
        until(lambda: b"MAESTRO_ATTEMPT=" in Path(f"/proc/{pid}/environ").read_bytes())  # there is none during `exec`
    finally:
        os.kill(pid, signal.SIGKILL)
    cleaned = maestro("clean", "--force", "--json", cwd=repo.path)
    assert cleaned.code == 0, cleaned.err


def died_after(repo: Repository, run_id: str, event: str) -> None:
    """Put the state back to where the coordinator died right after it wrote the first such event."""
    state = repo.path / ".flow" / "maestro"
    journal = state / "runs" / run_id / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if json.loads(line).get("type") == event)
    journal.write_bytes(b"".join(lines[: place + 1]))
    (state / "runs" / run_id / "summary.json").unlink()
    for file in (state / "progress").glob("*.json*"):
        file.unlink()


@pytest.mark.parametrize("event", ["landing", "landed"])
def test_what_a_dead_run_had_landed_is_not_done_again(repo: Repository, run: Run, event: str) -> None:
    assert run([{"id": "a"}], "--run-id", "first").code == 0
    died_after(repo, "first", event)
    said = run([{"id": "a"}], agent="exit 1")
    assert said.code == 0, said.err
    assert said.json["tasks"]["a"]["status"] == "landed"
    assert said.json["tasks"]["a"]["attempts"] == 0
    assert said.json["integration_branch"] == "integration/first"


def test_what_landed_while_the_tracker_refused_is_not_done_again(
    repo: Repository, run: Run, start: Start, tmp_path: Path
) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    progress = repo.path / ".flow" / "maestro" / "progress"
    started = start([{"id": "a"}], agent=waits(here, go) + WRITES_ONE_FILE)
    started.until(here)
    (kept,) = progress.glob("taskfile*.json")
    kept.unlink()
    kept.mkdir()  # nothing can be written in its place
    go.touch()
    said = started.end()
    assert said.statuses() == {"a": "landed"}
    assert "tracker_error" in said.json["tasks"]["a"], said.json
    kept.rmdir()
    again = run([{"id": "a"}], agent="exit 1")
    assert again.code == 0, again.err
    assert again.json["tasks"]["a"]["attempts"] == 0


def test_what_a_dead_run_was_about_to_land_is_done_again(repo: Repository, run: Run) -> None:
    assert run([{"id": "a"}], "--run-id", "first").code == 0
    died_after(repo, "first", "landing")
    repo.git("update-ref", "refs/heads/integration/first", "main")
    said = run([{"id": "a"}])
    assert said.json["tasks"]["a"]["attempts"] == 1
    assert said.code == 0


def test_a_task_opened_again_by_the_user_is_done_again(repo: Repository, run: Run) -> None:
    assert run([{"id": "a"}], "--run-id", "first").code == 0
    died_after(repo, "first", "landed")
    assert run([{"id": "a"}]).json["tasks"]["a"]["attempts"] == 0
    for file in (repo.path / ".flow" / "maestro" / "progress").glob("taskfile*.json"):
        file.unlink()
    assert run([{"id": "a"}]).json["tasks"]["a"]["attempts"] == 1


def test_clean_forgets_a_worktree_that_was_half_removed(repo: Repository, start: Start, tmp_path: Path) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    started = start([{"id": "a"}], "--run-id", "first", agent=waits(here, go))
    started.until(here)
    started.process.kill()
    started.process.communicate()
    go.touch()
    place = Path(repo.git("worktree", "list").splitlines()[1].split()[0])
    exit_file = repo.path / ".flow/maestro/runs/first/attempts/a/1/exit"
    deadline = time.monotonic() + 60
    while not exit_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    place.parent.rename(place.parent.with_name(".removing-task-a-0"))  # as removal begins
    cleaned = maestro("clean", "--json", cwd=repo.path)
    assert cleaned.code == 0, cleaned.err
    assert repo.git("for-each-ref", "refs/heads/maestro") == ""
    assert not list(place.parents[1].glob(".removing*"))
