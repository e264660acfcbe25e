"""`maestro history` (S-2): what the runs of a repository took, landed and cost; made anew from the journals at will."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from maestro.store.filelocks import locked
from maestro.store.layout import Layout
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started

TASKS = [{"id": "a", "title": "A", "role": "docs"}, {"id": "bad"}]
ONE_FAILS = f'[ "$MAESTRO_TASK_ID" = bad ] && exit 3; {WRITES_ONE_FILE}'


def history(repo: Repository, *flags: str) -> Said:
    said = maestro("history", *flags, cwd=repo.path)
    assert said.code == 0, said.err
    return said


def test_runs_and_what_became_of_them(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "one", agent=ONE_FAILS).code == 1
    assert run([{"id": "c", "role": "docs"}], "--run-id", "two").code == 0
    said = history(repo, "--json").json
    assert [one["run_id"] for one in said["runs"]] == ["two", "one"]
    one = said["runs"][1]
    assert (one["status"], one["tasks"], one["landed"], one["failed"], one["retries"]) == ("failed", 2, 1, 1, 1)
    assert said["total_runs"] == 2
    assert said["kinds"]["docs"]["landed"] == 2
    assert [one["run_id"] for one in history(repo, "--limit", "1", "--json").json["runs"]] == ["two"]
    text = history(repo).out.splitlines()
    assert text[0].split() == ["RUN", "STATUS", "STARTED", "TOOK", "LANDED", "FAILED", "RETRIES", "COST"]
    assert [line.split()[0] for line in text[1:3]] == ["two", "one"]
    assert repo.git("status", "--porcelain", "--untracked-files=all", "--ignored=no") == ""


def test_a_reader_that_takes_its_time_keeps_no_run_from_writing(repo: Repository, run: Run) -> None:
    """`maestro history | less`: what is shown may be longer than a pipe holds."""
    layout = Layout(repo.path)
    assert run(TASKS[:1], "--run-id", "one").code == 0
    journal = layout.journal("one")
    lines = journal.read_text().splitlines(keepends=True)
    long = json.dumps({**json.loads(lines[1]), "titles": {"a": "x" * 300_000}})
    journal.write_text("".join([lines[0], f"{long}\n", *lines[2:]]))
    asking = command_line("history", "--run-id", "one", "--json")
    with subprocess.Popen(asking, cwd=repo.path, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.read(1) == b"{"  # it has begun to answer, and cannot go on
        with locked(layout.locks / "history.lock", 5.0):
            pass
        assert b'"landed"' in reader.stdout.read()


def test_one_run_and_one_task(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "one", agent=ONE_FAILS).code == 1
    said = history(repo, "--run-id", "one", "--json").json
    assert {task["task"]: task["state"] for task in said["tasks"]} == {"a": "landed", "bad": "failed"}
    assert [one["outcome"] for one in said["attempts"] if one["task"] == "bad"] == ["failed: exit"] * 2
    assert [one["task"] for one in said["landings"]] == ["a"]
    task = history(repo, "--task", "bad", "--json").json
    assert [(one["run_id"], one["attempt"]) for one in task["attempts"]] == [("one", 1), ("one", 2)]
    assert "bad" in history(repo, "--run-id", "one").out
    assert "exit code 3" in history(repo, "--task", "bad").out


def test_what_is_not_there_is_bad_input(repo: Repository, run: Run) -> None:
    assert run(TASKS[:1], "--run-id", "one").code == 0
    for flags in (("--run-id", "nope"), ("--task", "nope")):
        said = maestro("history", *flags, "--json", cwd=repo.path)
        assert said.code == 2
        assert "nope" in said.json["error"]["message"]


def test_it_is_made_anew_from_the_journals_at_will(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "one", agent=ONE_FAILS).code == 1
    told = history(repo, "--json").json
    assert history(repo, "--rebuild", "--json").json == told
    file = repo.path / ".flow" / "maestro" / "history.db"
    file.write_bytes(b"no database at all" * 100)
    assert history(repo, "--json").json == told
    file.unlink()
    assert history(repo, "--json").json == told


def test_a_run_that_died_is_in_it_as_interrupted(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    agent = f"touch {tmp_path}/on; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; {WRITES_ONE_FILE}"
    under_way = start([{"id": "a"}], "--run-id", "r", agent=agent)
    under_way.until(tmp_path / "on")
    assert history(repo, "--json").json["runs"][0]["status"] == "running"
    under_way.process.kill()
    under_way.end()
    [one] = history(repo, "--json").json["runs"]
    assert one["status"] == "interrupted"
    assert "died" in one["reason"]
    (tmp_path / "go").touch()
    assert maestro("resume", "--run-id", "r", "--json", cwd=repo.path).code == 0
    [one] = history(repo, "--json").json["runs"]
    assert (one["status"], one["resumed"], one["landed"]) == ("completed", 1, 1)


def test_it_is_read_from_the_journals_where_it_cannot_be_kept(repo: Repository, run: Run) -> None:
    assert run(TASKS[:1], "--run-id", "one").code == 0
    file = repo.path / ".flow" / "maestro" / "history.db"
    file.unlink()
    file.mkdir()
    said = maestro("history", "--json", cwd=repo.path)
    assert said.code == 0, said.err
    assert json.loads(said.out)["runs"][0]["landed"] == 1
    assert "journals" in said.err
    assert run(TASKS[1:], "--run-id", "two").code == 0, "a history that cannot be written never stops a run"
    shutil.rmtree(file)
    assert len(history(repo, "--json").json["runs"]) == 2


def test_where_no_run_ever_was_a_question_leaves_nothing_behind(repo: Repository) -> None:
    assert history(repo).out == "No run yet.\n"
    assert not (repo.path / ".flow").exists()
