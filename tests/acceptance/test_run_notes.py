"""Notes between tasks (E-10): said by an agent in its workspace, read by those that start later."""

from __future__ import annotations

import sys
from pathlib import Path

from maestro.testing.commandline import maestro
from maestro.testing.repository import Repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run

MAESTRO = f'"{sys.executable}" -m maestro'


def prompt(repo: Repository, task: str, attempt: int = 1) -> str:
    (file,) = (repo.path / ".flow" / "maestro" / "runs").glob(f"*/attempts/{task}/{attempt}/prompt.md")
    return file.read_text()


def test_later_prompts_show_what_an_agent_said(repo: Repository, run: Run) -> None:
    agent = (
        f"""case "$MAESTRO_TASK_ID" in a) {MAESTRO} note 'the table is called "people"' || exit 7; """
        f"""{MAESTRO} note --to c 'for your eyes only' || exit 8;; esac; """ + WRITES_ONE_FILE
    )
    said = run([{"id": "a"}, *({"id": name, "dependencies": ["a"]} for name in "bc")], agent=agent)
    assert said.code == 0, said.err
    assert "## Notes" not in prompt(repo, "a")
    assert '- From task a: the table is called "people"' in prompt(repo, "b")
    assert "for your eyes only" not in prompt(repo, "b")
    assert "- From task a, to you: for your eyes only\n- From task a: the table" in prompt(repo, "c")
    assert ' note "…"`' in prompt(repo, "a"), "agents are told how"
    late = maestro("note", "--run-id", said.json["run_id"], "too late", "--json", cwd=repo.path)
    assert late.code == 2
    assert late.json["error"]["message"].endswith("has ended: nobody would read the note.")
    listed = maestro("notes", "--json", cwd=repo.path).json["notes"]
    assert [(note["from_task"], note["to_task"]) for note in listed] == [("a", None), ("a", "c")]


def test_from_a_clone_a_retry_reads_what_the_first_attempt_said(repo: Repository, run: Run) -> None:
    agent = (
        f"""test "$(git rev-parse --git-dir)" = .git || exit 9; {MAESTRO} note --to a 'mind the gap' || exit 8; """
        f"""grep -q 'mind the gap' "$MAESTRO_PROMPT_FILE" || exit 7; """ + WRITES_ONE_FILE
    )
    said = run([{"id": "a"}], "--workspace", "clone", agent=agent)
    assert said.code == 0, said.err
    assert said.json["tasks"]["a"]["attempts"] == 2
    assert "exit code 7" in prompt(repo, "a", 2)


def test_a_subagent_without_variables_is_known_by_its_workspace(repo: Repository, run: Run) -> None:
    says = f"cd deep && env -u MAESTRO_REPOSITORY -u MAESTRO_RUN_ID -u MAESTRO_TASK_ID {MAESTRO} note hello"
    ended = run([{"id": "a"}], agent=f"mkdir deep; ({says}) || exit 8; {WRITES_ONE_FILE}")
    assert ended.code == 0, ended.err
    (note,) = maestro("notes", "--json", cwd=repo.path).json["notes"]
    assert (note["from_task"], note["text"]) == ("a", "hello")


def test_a_board_that_cannot_be_read_stops_no_task(repo: Repository, run: Run) -> None:
    agent = (
        'test "$MAESTRO_TASK_ID" = b || mkdir "$MAESTRO_REPOSITORY/.flow/maestro/runs/$MAESTRO_RUN_ID/board.jsonl"; '
        + WRITES_ONE_FILE
    )
    said = run([{"id": "a"}, {"id": "b", "dependencies": ["a"]}], agent=agent)
    assert said.code == 0, said.err
    assert "## Notes" not in prompt(repo, "b")


def test_the_board_is_no_part_of_the_user_s_checkout(repo: Repository, run: Run, unharmed: None) -> None:
    said = run([{"id": "a"}], agent=f"{MAESTRO} note hello; {WRITES_ONE_FILE}")
    assert said.code == 0, said.err
    assert said.json["reason"] == ""
    assert list(Path(repo.path, ".flow/maestro/runs").glob("*/board.jsonl"))
