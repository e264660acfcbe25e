"""E-9: a rollback beside what others do: commits of theirs, tasks of theirs, a tracker that is gone; and what a later
run makes of one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, check_sound

TASKS = [
    {"id": "a", "group": "A"},
    {"id": "b", "group": "B", "dependencies": ["a"]},
    {"id": "c", "dependencies": ["b"]},
]


def rollback(repo: Repository, *flags: str) -> Said:
    return maestro("rollback", "--json", *flags, cwd=repo.path)


def everything(repo: Repository) -> tuple[str, dict[str, bytes]]:
    """All refs, and all that maestro keeps, the locks aside."""
    state = repo.path / ".flow" / "maestro"
    files = {str(path): path.read_bytes() for path in state.rglob("*") if path.is_file() and "locks" not in path.parts}
    return repo.git("for-each-ref"), files


def when_b_is_done(command: str) -> str:
    """An agent that does its work, and something else while it works on b."""
    return f'{WRITES_ONE_FILE}; if [ "$MAESTRO_TASK_ID" = b ]; then cd "$MAESTRO_REPOSITORY"; {command}; fi'


def test_a_group_of_any_name_is_taken_back(repo: Repository, run: Run) -> None:
    tasks = [{"id": "a", "group": "my group"}, {"id": "b", "group": "é/Y~^:", "dependencies": ["a"]}]
    assert run(tasks, "--run-id", "r").code == 0
    landed = repo.git("rev-parse", "integration/r")
    for name, left in (("group-é/Y~^:", ["out-a.txt"]), ("group-my group", [])):
        said = rollback(repo, "--to", name)
        assert said.code == 0, said.err
        assert repo.files("integration/r") == ["README.md", *left]
        assert all(repo.git("rev-parse", "-q", "--verify", ref) for ref in said.json["saved_refs"])
    assert landed in repo.git("for-each-ref", "--format=%(objectname)", "refs/maestro/saved")
    check_sound(repo)


def test_a_landing_that_was_refused_is_no_work_in_the_middle(repo: Repository, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "else where"
    said = run(TASKS, "--run-id", "r", agent=when_b_is_done(f"git worktree add -q '{place}' integration/r"))
    assert (said.code, said.statuses()["b"]) == (3, "blocked"), said.err
    refused = rollback(repo, "--to", "start")
    assert "is checked out in" in refused.json["error"]["message"]
    hint = refused.json["error"]["hint"].rstrip(".").partition(": ")[2]
    subprocess.run(hint, shell=True, check=True, capture_output=True)
    done = rollback(repo, "--to", "start")
    assert done.code == 0, done.err
    assert [one["task"] for one in done.json["tasks"]] == ["a"]


def test_commits_of_others_that_go_with_it_are_named_and_kept(repo: Repository, run: Run) -> None:
    adds = (
        "git update-ref refs/heads/integration/r $(git commit-tree -p integration/r -m 'by hand' integration/r^{tree})"
    )
    assert run(TASKS, "--run-id", "r", agent=when_b_is_done(adds)).code == 0
    foreseen = rollback(repo, "--to", "group-B", "--dry-run").json
    assert [one["subject"] for one in foreseen["others"]] == ["by hand"]
    words = maestro("rollback", "--to", "group-B", "--dry-run", cwd=repo.path).out
    theirs = foreseen["others"][0]["commit"]
    assert f"{theirs[:10]}  by hand" in words
    done = rollback(repo, "--to", "group-B").json
    assert done["others"] == foreseen["others"]
    assert repo.git("merge-base", "--is-ancestor", theirs, done["saved_refs"][0], ok=True) == ""
    assert rollback(repo, "--to", "start").json["others"] == []


def test_a_dry_run_says_what_the_tracker_would_refuse(repo: Repository, run: Run) -> None:
    tasks = [{"id": "b", "group": "B"}, {"id": "c", "group": "B"}]
    assert run(tasks, "--run-id", "r").code == 0
    [file] = (repo.path / ".flow" / "maestro" / "progress").glob("*.json")
    kept = json.loads(file.read_text())
    kept["tasks"]["c"]["progress"] = "open"
    file.write_text(json.dumps(kept))
    assert run(tasks, "--run-id", "other").code == 0
    before = everything(repo)
    said = rollback(repo, "--to", "group-B", "--run-id", "r", "--dry-run")
    assert everything(repo) == before
    assert said.code == 1
    assert "run other has landed it" in said.json["refused"]["c"]
    assert rollback(repo, "--to", "group-B", "--run-id", "r").json["refused"] == said.json["refused"]


@pytest.mark.parametrize("flags", [["--dry-run"], []])
def test_without_its_tracker_nothing_is_moved(repo: Repository, flags: list[str]) -> None:
    repo.commit({"todo.md": "- [ ] T001 first\n"})
    said = maestro("run", "--json", "--no-tests", "--run-id", "r", "--tasks-file", "todo.md",
                   "--agent-command", WRITES_ONE_FILE, cwd=repo.path)  # fmt: skip
    assert said.code == 0, said.err
    (repo.path / "todo.md").rename(repo.path / "elsewhere.md")
    before = everything(repo)
    refused = rollback(repo, "--to", "start", *flags)
    assert refused.code != 0
    assert "todo.md" in refused.json["error"]["message"]
    assert everything(repo) == before
    (repo.path / "elsewhere.md").rename(repo.path / "todo.md")
    assert rollback(repo, "--to", "start", *flags).code == 0


def test_a_task_that_somebody_has_taken_meanwhile_is_named(repo: Repository) -> None:
    """Its status in the backlog is a person's word."""
    tasks = {"tasks": [{"id": 1, "title": "one", "status": "pending", "dependencies": []}]}
    repo.commit({".taskmaster/tasks/tasks.json": json.dumps({"master": tasks})})
    said = maestro("run", "--json", "--no-tests", "--run-id", "r", "--tracker", "taskmaster",
                   "--agent-command", WRITES_ONE_FILE, cwd=repo.path)  # fmt: skip
    assert said.code == 0, said.err
    file = repo.path / ".taskmaster" / "tasks" / "tasks.json"
    file.write_text(file.read_text().replace('"done"', '"in-progress"'))
    done = rollback(repo, "--to", "start")
    assert (done.code, list(done.json["refused"])) == (1, ["1"])
    assert "taken" in done.json["refused"]["1"]
    assert '"in-progress"' in file.read_text()


_DIES = """
import os, sys
from maestro.store.journal import Journal
write = Journal._write
def dying(self, payload):
    write(self, payload)
    if b'"type":"landed"' in payload:
        os._exit(9)
Journal._write = dying
from maestro.cli.main import main
sys.argv = ["maestro", *sys.argv[1:]]
main()
"""


def test_what_landed_again_after_a_rollback_is_not_done_a_third_time(repo: Repository, run: Run) -> None:
    """The resumed run dies before it has told the tracker; that it told of the first landing means nothing by now."""
    assert run(TASKS, "--run-id", "r").code == 0
    assert rollback(repo, "--to", "group-B").code == 0
    resume = [sys.executable, "-c", _DIES, "resume", "--run-id", "r"]
    assert subprocess.run(resume, cwd=repo.path, env=os.environ, capture_output=True).returncode == 9
    landed = repo.git("rev-parse", "integration/r")
    said = run(TASKS, "--run-id", "new", "--integration-base-branch", "integration/r")
    assert said.code == 0, said.err
    assert {task: one["attempts"] for task, one in said.json["tasks"].items()} == {"a": 0, "b": 0, "c": 1}
    assert repo.git("rev-parse", "integration/r") == landed


def test_a_branch_of_a_level_that_the_run_never_came_to_is_somebody_elses(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r", "--schedule", "levels", agent=f"{WRITES_ONE_FILE}; [ $MAESTRO_TASK_ID = a ]",
               env={"MAESTRO_ATTEMPTS": "1"}).code == 1  # fmt: skip
    repo.git("branch", "integration/level-2-r", "main")
    done = rollback(repo, "--to", "start")
    assert done.code == 0, done.err
    assert repo.git("rev-parse", "integration/level-2-r") == repo.head
    assert "integration/level-2-r" not in done.json["removed_branches"]


def test_the_hint_of_a_broken_off_rollback_is_a_command(repo: Repository, run: Run) -> None:
    """With a name that a shell would take apart."""
    import asyncio

    from maestro.clock import SystemClock
    from maestro.model.events import RollingBack
    from maestro.store.journal import Journal
    from maestro.store.layout import Layout

    assert run([{"id": "a", "group": "my group"}], "--run-id", "r").code == 0
    tip = repo.git("rev-parse", "integration/r")
    event = RollingBack(at=SystemClock().now(), checkpoint="group-my group", branch="integration/r", expected=tip,
                        commit=repo.head, tasks=("a",))  # fmt: skip

    async def write() -> None:
        journal = Journal(Layout(repo.path).journal("r"))
        await journal.record(event)
        await journal.close()

    asyncio.run(write())
    for said in (rollback(repo, "--to", "start"), maestro("resume", "--json", "--run-id", "r", cwd=repo.path)):
        command = said.json["error"]["hint"].rstrip(".").partition("maestro ")[2]
        assert shlex.split(command) == ["rollback", "--run-id", "r", "--to", "group-my group"]
