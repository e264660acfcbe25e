"""Several coordinators at once in one repository, over other tasks and over the same ones, killed and resumed (E-8)."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.commandline import Said, command_line
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE
from tests.acceptance.terminal_lab import everything_in

pytestmark = pytest.mark.usefixtures("unharmed")

SEED = os.environ.get("MAESTRO_TEST_SEED")  # a test sees no variables of ours

SLOW = f"sleep 0.2; {WRITES_ONE_FILE}"


def arguments(folder: Path, run_id: str, file: str, agent: str = SLOW) -> list[str]:
    return command_line(
        "run", "--run-id", run_id, "--tasks-file", str(folder / file), "--agent-command", agent,
        "--test-command", "true", "--max-parallel", "2", "--json",
    )  # fmt: skip


def begin(argv: list[str], repo: Repository) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=repo.path, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def end(process: subprocess.Popen[str]) -> Said:
    out, err = process.communicate(timeout=150)
    return Said(process.returncode, out, err)


def write_tasks(folder: Path, file: str, prefix: str, count: int = 8) -> list[str]:
    names = [f"{prefix}{number}" for number in range(count)]
    (folder / file).write_text(json.dumps([{"id": name} for name in names]))
    return names


def check_landed(repo: Repository, result: Any, names: list[str]) -> None:
    assert {name: task["status"] for name, task in result["tasks"].items()} == dict.fromkeys(names, "landed")
    branch = result["integration_branch"]
    merges = repo.git("log", "--first-parent", "--format=%(trailers:key=Maestro-Task,valueonly)", f"main..{branch}")
    assert Counter(merges.split()) == Counter(names)
    assert {f"out-{name}.txt" for name in names} <= set(repo.files(branch))


@pytest.mark.timeout(170)
@pytest.mark.parametrize("count", [2, 3])
def test_coordinators_over_tasks_of_their_own_do_not_meet(repo: Repository, tmp_path: Path, count: int) -> None:
    """Each is killed once at a random moment and resumed, while the others go on."""
    seed = SEED or secrets.token_hex(4)
    print(f"seed {seed}")
    dice = random.Random(seed)
    before = everything_in(repo.path)
    names = {f"run-{number}": write_tasks(tmp_path, f"{number}.json", f"r{number}-") for number in range(count)}
    under_way = {run: begin(arguments(tmp_path, run, f"{run[4:]}.json"), repo) for run in names}
    for run, process in under_way.items():
        time.sleep(dice.uniform(0.3, 1.5))
        process.kill()
        process.communicate()
        begun = (repo.path / ".flow/maestro/runs" / run / "blueprint.json").exists()
        again = command_line("resume", "--run-id", run, "--json")
        under_way[run] = begin(again if begun else arguments(tmp_path, run, f"{run[4:]}.json"), repo)
    for run, process in under_way.items():
        said = end(process)
        assert said.code == 0, (run, said.err)
        check_landed(repo, said.json, names[run])
    assert everything_in(repo.path) == before


@pytest.mark.timeout(170)
@pytest.mark.parametrize("count", [2, 3])
def test_of_coordinators_over_the_same_tasks_one_has_them(repo: Repository, tmp_path: Path, count: int) -> None:
    names = write_tasks(tmp_path, "tasks.json", "t")
    go = tmp_path / "go"
    agent = f'until [ -e "{go}" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'
    under_way = [begin(arguments(tmp_path, f"run-{number}", "tasks.json", agent), repo) for number in range(count)]
    deadline = time.monotonic() + 60
    while sum(process.poll() is not None for process in under_way) < count - 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refused = [end(process) for process in under_way if process.poll() is not None]
    (winner,) = (process for process in under_way if process.returncode is None)
    holder = f"run-{under_way.index(winner)}"
    for said in refused:
        assert said.code == 3, said
        assert holder in said.json["error"]["message"], said.json
        assert "since" in said.json["error"]["message"], said.json
    go.touch()
    said = end(winner)
    assert said.code == 0, said.err
    check_landed(repo, said.json, names)


@pytest.mark.timeout(170)
def test_of_two_who_resume_a_dead_run_one_goes_on_with_it(repo: Repository, tmp_path: Path) -> None:
    names = write_tasks(tmp_path, "tasks.json", "t")
    here, go = tmp_path / "here", tmp_path / "go"
    agent = f'touch "{here}"; until [ -e "{go}" ]; do sleep 0.02; done; {WRITES_ONE_FILE}'
    first = begin(arguments(tmp_path, "it", "tasks.json", agent), repo)
    deadline = time.monotonic() + 60
    while not here.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.communicate()
    both = [begin(command_line("resume", "--run-id", "it", "--json"), repo) for _ in range(2)]
    while all(process.poll() is None for process in both):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (refused,) = (end(process) for process in both if process.poll() is not None)
    assert refused.code == 3, refused
    assert "it" in refused.json["error"]["message"]
    go.touch()
    (winner,) = (process for process in both if process.returncode is None)
    said = end(winner)
    assert said.code == 0, said.err
    check_landed(repo, said.json, names)
