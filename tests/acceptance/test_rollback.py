"""E-9: a run put back to a checkpoint, with branch, tracker and all that is kept; refused where a person must act."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.store.filelocks import locked
from maestro.testing.commandline import Said, command_line, maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run, Started, check_sound

TASKS = [
    {"id": "a", "title": "first [P:Group-A]"},
    {"id": "b", "title": "second [P:Group-A]"},
    {"id": "c", "title": "third [P:Group-B]"},
    {"id": "d", "title": "fourth [P:Group-B]"},
]


def rollback(repo: Repository, *flags: str) -> Said:
    return maestro("rollback", "--json", *flags, cwd=repo.path)


def standing(repo: Repository, run_id: str = "r") -> dict[str, str]:
    """Task → how `status` says it stands."""
    return maestro("status", "--run-id", run_id, "--json", cwd=repo.path).statuses()


def progress(repo: Repository) -> dict[str, str]:
    """Task → what is kept of it beside the runs."""
    [file] = (repo.path / ".flow" / "maestro" / "progress").glob("*.json")
    return {task: one["progress"] for task, one in json.loads(file.read_text())["tasks"].items()}


def tip(repo: Repository, branch: str = "integration/r") -> str:
    return repo.git("rev-parse", "--verify", "-q", f"refs/heads/{branch}", ok=False)


def everything(repo: Repository) -> tuple[str, dict[str, bytes]]:
    """All refs, and all that maestro keeps, the locks aside."""
    state = repo.path / ".flow" / "maestro"
    files = {str(path): path.read_bytes() for path in state.rglob("*") if path.is_file() and "locks" not in path.parts}
    return repo.git("for-each-ref"), files


def test_a_group_is_taken_back_and_resume_does_it_again(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    landed, before = tip(repo), repo.git("status", "--porcelain", "--untracked-files=all")
    said = rollback(repo, "--to", "group-B")
    assert said.code == 0, said.err
    done = said.json
    assert sorted(one["task"] for one in done["tasks"]) == ["c", "d"]
    assert (done["branch"], done["from"], done["to"]) == ("integration/r", landed, tip(repo))
    assert repo.files("integration/r") == ["README.md", "out-a.txt", "out-b.txt"]
    assert done["saved_refs"] == ["refs/maestro/saved/r/rollback-group-B"]
    assert repo.git("rev-parse", done["saved_refs"][0]) == landed
    assert standing(repo) == {"a": "landed", "b": "landed", "c": "pending", "d": "pending"}
    assert progress(repo) == {"a": "done", "b": "done", "c": "open", "d": "open"}
    groups = maestro("list", "--json", cwd=repo.path).json["groups"]
    assert [(one["group_id"], one["status"], one["completed"]) for one in groups] == [
        ("A", "completed", 2),
        ("B", "blocked", 0),
    ]
    resumed = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert resumed.code == 0, resumed.err
    assert set(resumed.statuses().values()) == {"landed"}
    assert resumed.json["tasks"]["a"]["attempts"] == 1
    assert resumed.json["tasks"]["c"]["attempts"] == 2
    assert repo.files("integration/r")[1:] == ["out-a.txt", "out-b.txt", "out-c.txt", "out-d.txt"]
    assert set(progress(repo).values()) == {"done"}
    groups = maestro("list", "--json", cwd=repo.path).json["groups"]
    assert {one["status"] for one in groups} == {"completed"}
    assert repo.git("status", "--porcelain", "--untracked-files=all") == before == ""
    check_sound(repo)


def test_a_later_run_does_again_what_was_taken_back(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    assert rollback(repo, "--to", "group-B").code == 0
    said = run(TASKS, "--run-id", "later", "--integration-base-branch", "integration/r")
    assert said.code == 0, said.err
    attempts = {task: one["attempts"] for task, one in said.json["tasks"].items()}
    assert attempts == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_all_of_it_is_taken_back_to_the_start_and_the_later_checkpoints_are_made_anew(
    repo: Repository, run: Run
) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    assert rollback(repo, "--to", "start").code == 0
    assert tip(repo) == repo.head
    assert set(standing(repo).values()) == {"pending"}
    gone = rollback(repo, "--to", "group-B")
    assert gone.code == 2
    assert gone.json["error"]["hint"] == "Its checkpoints are start."
    resumed = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert set(resumed.statuses().values()) == {"landed"}
    kept = repo.git("rev-parse", "refs/maestro/checkpoints/r/group-B")
    assert rollback(repo, "--to", "group-B").json["to"] == kept
    assert repo.files("integration/r") == ["README.md", "out-a.txt", "out-b.txt"]


def test_a_dry_run_says_the_same_and_changes_nothing(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    before = everything(repo)
    said = rollback(repo, "--to", "group-B", "--dry-run")
    assert said.code == 0, said.err
    assert everything(repo) == before
    done = rollback(repo, "--to", "group-B").json
    told = {**said.json, "dry_run": False, "saved_refs": done["saved_refs"]}
    assert told == done


def test_done_twice_the_second_finds_nothing_to_do(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    assert rollback(repo, "--to", "group-B").json["needed"]
    before = everything(repo)
    again = rollback(repo, "--to", "group-B")
    assert (again.code, again.json["needed"]) == (0, False)
    assert everything(repo) == before


def test_work_that_changed_nothing_waits_again_too(repo: Repository, run: Run) -> None:
    says = """printf '{"status": "no_change", "summary": "as it was"}' > "$MAESTRO_REPORT_FILE" """
    agent = f'if [ "$MAESTRO_TASK_ID" = d ]; then {says}; else {WRITES_ONE_FILE}; fi'
    assert run(TASKS, "--run-id", "r", agent=agent).code == 0
    said = rollback(repo, "--to", "group-B")
    assert {one["task"]: bool(one["commit"]) for one in said.json["tasks"]} == {"c": True, "d": False}
    assert standing(repo)["d"] == "pending"


def test_levels_go_back_with_their_branches(repo: Repository, run: Run) -> None:
    tasks = [{"id": "a"}, {"id": "b", "dependencies": ["a"]}, {"id": "c", "dependencies": ["b"]}]
    assert run(tasks, "--run-id", "r", "--schedule", "levels").code == 0
    last = tip(repo, "integration/level-2-r")
    done = rollback(repo, "--to", "level-1").json
    assert done["removed_branches"] == ["integration/level-2-r"]
    assert [one["task"] for one in done["tasks"]] == ["b", "c"]
    assert tip(repo, "integration/level-1-r") == tip(repo, "integration/level-0-r")
    assert tip(repo, "integration/level-2-r") == ""
    saved = [repo.git("rev-parse", ref) for ref in done["saved_refs"]]
    assert last in saved
    resumed = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert resumed.code == 0, resumed.err
    assert repo.files("integration/level-2-r") == ["README.md", "out-a.txt", "out-b.txt", "out-c.txt"]


def test_without_a_name_the_checkpoints_are_listed(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    before = everything(repo)
    found = rollback(repo).json
    assert [(one["name"], one["landed_since"]) for one in found["checkpoints"]] == [
        ("start", 4),
        ("group-A", 4),
        ("group-B", 2),
    ]
    assert "group-B" in maestro("rollback", cwd=repo.path).out
    assert everything(repo) == before


# -- refused --------------------------------------------------------------------------------------------------


def refused(repo: Repository, code: int, word: str, *flags: str) -> Said:
    """The rollback is refused, in one sentence with a hint, and nothing has changed."""
    before = everything(repo)
    said = rollback(repo, *flags)
    assert said.code == code, said.err
    assert word in said.json["error"]["message"], said.out
    assert said.json["error"]["hint"]
    assert everything(repo) == before
    return said


def test_an_unknown_checkpoint_or_run_is_refused_with_what_there_is(repo: Repository, run: Run) -> None:
    assert "no run" in rollback(repo, "--to", "start").json["error"]["message"].lower()
    assert run(TASKS, "--run-id", "r").code == 0
    said = refused(repo, 2, "no checkpoint 'group-Z'", "--to", "group-Z")
    assert said.json["error"]["hint"] == "Its checkpoints are start, group-A, group-B."
    refused(repo, 2, "no run other", "--to", "start", "--run-id", "other")


def test_a_run_that_is_alive_is_left_alone(repo: Repository, start: Callable[..., Started], tmp_path: Path) -> None:
    agent = f"{WRITES_ONE_FILE}; touch {tmp_path}/on; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    under_way = start(TASKS[:1], "--run-id", "r", agent=agent)
    under_way.until(tmp_path / "on")
    said = rollback(repo, "--to", "start")
    assert said.code == 3
    assert "run r is under way" in said.json["error"]["message"].lower()
    (tmp_path / "go").touch()
    assert under_way.end().code == 0


def test_a_branch_that_is_checked_out_stays(repo: Repository, run: Run, tmp_path: Path) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    repo.git("worktree", "add", "-q", str(tmp_path / "elsewhere"), "integration/r")
    said = refused(repo, 3, "checked out", "--to", "group-B")
    hint = said.json["error"]["hint"].rstrip(".").partition(": ")[2]
    subprocess.run(hint, shell=True, check=True, capture_output=True)
    assert rollback(repo, "--to", "group-B").code == 0


def test_what_somebody_added_to_the_branch_is_not_thrown_away(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    theirs = repo.git("commit-tree", "-p", "integration/r", "-m", "theirs", "integration/r^{tree}")
    repo.git("update-ref", "refs/heads/integration/r", theirs)
    said = refused(repo, 3, "somebody else has moved it", "--to", "group-B")
    repo.git("branch", "theirs", theirs)
    command = said.json["error"]["hint"].rstrip(".").partition(": ")[2]
    subprocess.run(command, shell=True, cwd=repo.path, check=True, capture_output=True)
    assert rollback(repo, "--to", "group-B").code == 0
    repo.git("branch", "-D", "integration/r")
    refused(repo, 3, "was deleted", "--to", "start")


@pytest.mark.parametrize("strategy", ["merge", "squash"])
def test_what_is_on_the_base_is_reverted_there_as_the_hint_says(repo: Repository, run: Run, strategy: str) -> None:
    repo.git("switch", "-q", "-c", "mine")
    assert run(TASKS, "--run-id", "r", "--land-on-base", env={"MAESTRO_STRATEGY": strategy}).code == 0
    assert repo.git("rev-parse", "main") == tip(repo)
    said = refused(repo, 3, "is on main already", "--to", "group-B")
    repo.git("switch", "-q", "main")
    command = said.json["error"]["hint"].rstrip(".").partition(": ")[2]
    subprocess.run(command, shell=True, cwd=repo.path, check=True, capture_output=True)
    assert repo.files("main") == ["README.md", "out-a.txt", "out-b.txt"]


def test_a_run_that_died_at_work_is_resumed_first(
    repo: Repository, start: Callable[..., Started], tmp_path: Path
) -> None:
    agent = (
        f'if [ "$MAESTRO_TASK_ID" = c ] && [ ! -e {tmp_path}/go ]; then touch {tmp_path}/on; '
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; fi; {WRITES_ONE_FILE}"
    )
    under_way = start(TASKS[:3], "--run-id", "r", agent=agent)
    under_way.until(tmp_path / "on")
    under_way.process.kill()
    under_way.end()
    refused(repo, 3, "died in the middle of its work", "--to", "group-B")
    (tmp_path / "go").touch()
    resumed = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert set(resumed.statuses().values()) == {"landed"}, resumed.err
    assert [one["task"] for one in rollback(repo, "--to", "group-B").json["tasks"]] == ["c"]


def test_one_that_is_killed_is_completed_by_the_same_command(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    landed = tip(repo)
    [lock] = (repo.path / ".flow" / "maestro" / "locks").glob("tracker-*.lock")
    with locked(lock):  # it comes as far as the tracker, and waits there
        killed = subprocess.Popen(command_line("rollback", "--to", "group-B"), cwd=repo.path)
        deadline = time.monotonic() + 60
        while tip(repo) == landed:
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        killed.kill()
        killed.wait()
    assert set(progress(repo).values()) == {"done"}
    resumed = maestro("resume", "--run-id", "r", "--json", cwd=repo.path)
    assert resumed.code != 0
    assert "rollback" in resumed.json["error"]["message"]
    said = rollback(repo, "--to", "group-B")
    assert (said.code, said.json["refused"]) == (0, {})
    assert progress(repo) == {"a": "done", "b": "done", "c": "open", "d": "open"}
    assert set(maestro("resume", "--run-id", "r", "--json", cwd=repo.path).statuses().values()) == {"landed"}


# -- trackers -------------------------------------------------------------------------------------------------


def run_backlog(repo: Repository, *flags: str) -> Said:
    return maestro("run", "--json", "--no-tests", "--run-id", "r", "--agent-command", WRITES_ONE_FILE, *flags,
                   cwd=repo.path)  # fmt: skip


def test_boxes_are_cleared_again(repo: Repository) -> None:
    text = "- [ ] T001 first\n- [ ] T002 second (depends on T001)\n"
    repo.commit({"todo.md": text})
    assert run_backlog(repo, "--tasks-file", "todo.md", "--schedule", "levels").code == 0
    assert (repo.path / "todo.md").read_text() == text.replace("[ ]", "[x]")
    assert rollback(repo, "--to", "level-1").code == 0
    assert (repo.path / "todo.md").read_text() == text.replace("[ ]", "[x]", 1)
    assert rollback(repo, "--to", "start").code == 0
    assert (repo.path / "todo.md").read_text() == text


@pytest.mark.parametrize("kind", ["taskfile", "taskmaster"])
def test_a_status_in_the_file_is_put_back(repo: Repository, kind: str) -> None:
    name = {"taskfile": "tasks.json", "taskmaster": ".taskmaster/tasks/tasks.json"}[kind]
    tasks: list[dict[str, Any]] = [{"id": 1, "title": "one", "status": "pending", "dependencies": []},
                                   {"id": 2, "title": "two", "status": "pending", "dependencies": [1]}]  # fmt: skip
    repo.commit({name: json.dumps({"master": {"tasks": tasks}} if kind == "taskmaster" else {"tasks": tasks})})
    flags = ["--tasks-file", name, "--write-back"] if kind == "taskfile" else ["--tracker", kind]
    assert run_backlog(repo, *flags, "--schedule", "levels").code == 0
    before = (repo.path / name).read_text()
    assert before.count('"done"') == 2
    assert rollback(repo, "--to", "level-1").code == 0
    assert (repo.path / name).read_text() == '"pending"'.join(before.rsplit('"done"', 1))


def test_todos_given_on_standard_input_are_known_from_the_run(repo: Repository) -> None:
    todos = json.dumps([{"content": "one", "status": "pending"}, {"content": "two", "status": "pending"}])
    said = maestro("run", "--json", "--no-tests", "--run-id", "r", "--agent-command", WRITES_ONE_FILE, "--todos", "-",
                   cwd=repo.path, stdin=todos)  # fmt: skip
    assert said.code == 0, said.err
    assert rollback(repo, "--to", "start").code == 0
    assert set(progress(repo).values()) == {"open"}


def test_a_task_that_another_run_has_landed_since_stays_landed(repo: Repository, run: Run) -> None:
    assert run(TASKS, "--run-id", "r").code == 0
    [file] = (repo.path / ".flow" / "maestro" / "progress").glob("*.json")
    kept = json.loads(file.read_text())
    kept["tasks"]["c"]["progress"] = "open"  # a person opens it, and another run does it
    file.write_text(json.dumps(kept))
    assert run(TASKS, "--run-id", "other").code == 0
    said = rollback(repo, "--to", "group-B", "--run-id", "r")
    assert said.code == 1
    assert list(said.json["refused"]) == ["c"]
    assert "run other has landed it" in said.json["refused"]["c"]
    assert progress(repo) == {"a": "done", "b": "done", "c": "done", "d": "open"}
