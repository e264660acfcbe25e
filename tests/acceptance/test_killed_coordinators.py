"""Coordinators killed with SIGKILL and resumed, again and again: all lands, nothing twice, nothing is left (E-6)."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.commandline import command_line, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Started, check_sound

pytestmark = pytest.mark.usefixtures("unharmed")

SEED = os.environ.get("MAESTRO_TEST_SEED")  # a test sees no variables of ours

TASKS = 40
KILLS = 12
SLOW = f'echo "$MAESTRO_TASK_ID" >> "$STARTS"; sleep 0.6; {WRITES_ONE_FILE}'


def events(repo: Repository, run_id: str) -> list[dict[str, object]]:
    """Those of the journal, as far as it is whole."""
    path = repo.path / ".flow/maestro/runs" / run_id / "journal.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[1:-1]]


def landed(repo: Repository, run_id: str) -> list[str]:
    return [str(event["task"]) for event in events(repo, run_id) if event["type"] == "landed"]


def backlog(dice: random.Random) -> list[dict[str, object]]:
    """A third of the tasks wait for an earlier one."""
    return [
        {"id": f"t{number}", "dependencies": [f"t{dice.randrange(number)}"] if number % 3 == 2 else []}
        for number in range(TASKS)
    ]


def kill_at_random(command: list[str], repo: Repository, dice: random.Random, most: int) -> None:
    """Start it and kill it: soon, or once some more tasks, `most` at most, have landed and a moment later."""
    process = subprocess.Popen(
        command, cwd=repo.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    goal = 0 if dice.random() < 0.4 else len(landed(repo, "it")) + dice.randint(1, most)
    while len(landed(repo, "it")) < goal and process.poll() is None:
        time.sleep(0.02)
    time.sleep(dice.uniform(0, 0.3) if goal else dice.uniform(0.1, 1.5))
    assert process.poll() is None, "it was over before its time"
    process.kill()
    process.wait()


@pytest.mark.timeout(170)
def test_forty_tasks_and_a_dozen_killed_coordinators(repo: Repository, tmp_path: Path) -> None:
    seed = SEED or secrets.token_hex(4)
    print(f"seed {seed}")
    dice = random.Random(seed)
    starts, tasks = tmp_path / "starts", tmp_path / "tasks.json"
    starts.touch()
    tasks.write_text(json.dumps(backlog(dice)))
    run = command_line(
        "run", "--run-id", "it", "--tasks-file", str(tasks), "--agent-command", SLOW.replace("$STARTS", str(starts)),
        "--no-tests", "--max-parallel", "3", "--attempts", "1", "--json",
    )  # fmt: skip
    resume = command_line("resume", "--run-id", "it", "--json")
    for _ in range(KILLS):
        kill_at_random(resume if events(repo, "it") else run, repo, dice, TASKS // KILLS - 1)
    last = resume if events(repo, "it") else run
    said = maestro(*last[last.index("maestro") + 1 :], cwd=repo.path, timeout_seconds=120)
    assert said.code == 0, said.err
    assert set(said.statuses().values()) == {"landed"}, said.json
    assert len(said.statuses()) == TASKS
    assert Counter(landed(repo, "it")) == Counter(f"t{number}" for number in range(TASKS))
    branch = said.json["integration_branch"]
    merges = repo.git("log", "--first-parent", "--format=%(trailers:key=Maestro-Task,valueonly)", f"main..{branch}")
    assert Counter(merges.split()) == Counter(f"t{number}" for number in range(TASKS))
    assert {f"out-t{number}.txt" for number in range(TASKS)} <= set(repo.files(branch))
    begun_agents = Counter(starts.read_text().split())
    print(f"{sum(begun_agents.values())} starts, {KILLS} kills")
    assert sum(begun_agents.values()) <= TASKS + 4 * KILLS
    assert repo.git("for-each-ref", "refs/heads/maestro") == ""


def test_a_workspace_that_went_with_its_coordinator_leaves_no_worktree_behind(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    """Its files are gone and git still lists it: a used worktree that comes to stand in its place hides it."""
    pids = tmp_path / "pids"
    agent = f'[ -e "{tmp_path}/go" ] || {{ echo $$ >> "{pids}"; exec sleep 100; }}; {WRITES_ONE_FILE}'
    started = start([{"id": "x"}, {"id": "y"}], "--run-id", "it", "--attempts", "3", agent=agent)
    deadline = time.monotonic() + 60
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started.process.kill()
    started.process.communicate()
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    homes = [Path(line.split()[0]).parent for line in repo.git("worktree", "list").splitlines()[1:]]
    assert len(homes) == 2
    for home in homes:
        shutil.rmtree(home)
    (tmp_path / "go").touch()
    said = maestro("resume", "--run-id", "it", "--max-parallel", "1", "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert said.statuses() == {"x": "landed", "y": "landed"}
    check_sound(repo)
