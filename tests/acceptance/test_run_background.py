"""`maestro run --background`: it outlives who starts it, and is refused as any run is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.commandline import maestro
from maestro.testing.processes import until
from maestro.testing.repository import Repository
from tests.conftest import processes_with

WORK = "echo x > $MAESTRO_TASK_ID.txt; git add -A; git commit -qm x"


@pytest.fixture(autouse=True)
def last_coordinator_gone() -> Iterator[None]:
    """It writes its result, and then ends."""
    yield
    mark = f"MAESTRO_TEST_MARK={os.environ['MAESTRO_TEST_MARK']}"
    until(lambda: not processes_with(mark))


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": "a"}, {"id": "b", "dependencies": ["a"]}]))
    return str(path)


def test_it_says_its_name_and_is_waited_for(repo: Repository, tasks: str, tmp_path: Path) -> None:
    gate = tmp_path / "go"
    work = f"while [ ! -e '{gate}' ]; do sleep 0.05; done; {WORK}"
    begun = maestro(
        "run", "--background", "--tasks-file", tasks, "--no-tests", "--agent-command", work, "--json", cwd=repo.path
    )
    assert begun.code == 0, begun.err
    assert begun.json["status"] == "running"
    run = begun.json["run_id"]
    late = maestro("wait", "--run-id", run, "--timeout", "0.1", cwd=repo.path)
    assert late.code == 124
    gate.touch()
    assert maestro("wait", "--run-id", run, "--timeout", "60", cwd=repo.path).code == 0
    assert {"a.txt", "b.txt"} <= set(repo.files(begun.json["integration_branch"]))
    again = maestro("run", "--background", "--tasks-file", tasks, "--no-tests", "--agent-command", WORK, cwd=repo.path)
    assert (again.code, again.out.splitlines()[0]) == (0, "Everything was done before this run.")


def test_in_words_it_names_the_command_that_waits(repo: Repository, tasks: str) -> None:
    said = maestro(
        "run", "--background", "--run-id", "mine", "--tasks-file", tasks, "--no-tests", "--agent-command", WORK,
        cwd=repo.path,
    )  # fmt: skip
    assert said.out == "Run mine goes on by itself; `maestro wait --run-id mine`.\n"
    assert maestro("wait", "--run-id", "mine", "--timeout", "60", cwd=repo.path).code == 0


@pytest.mark.parametrize("words", [["--tasks-file", "none.json"], ["--no-such-flag"]])
def test_a_refusal_is_that_of_any_run_and_leaves_nothing(repo: Repository, words: list[str]) -> None:
    here, there = (
        maestro("run", *more, *words, "--json", "--no-tests", "--agent-command", WORK, cwd=repo.path)
        for more in ([], ["--background"])
    )
    assert there.code == here.code == 2
    assert there.json == here.json
    assert [path.name for path in (repo.path / ".flow" / "maestro").glob("runs/*")] in ([], [".gitignore"])
