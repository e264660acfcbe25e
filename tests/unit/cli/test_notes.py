"""note and notes: who says what to whom, told from flags, the agent's variables and what is under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maestro.store.layout import Layout
from maestro.testing.story import STORY


@pytest.fixture
def run(write_run: Callable[..., Path], alive: Callable[[str], None]) -> str:
    write_run("r1", STORY[:1])
    alive("r1")
    return "r1"


def test_a_person_says_something_to_all_of_the_only_run(cli: Any, run: str) -> None:
    said = cli("note", "the API has moved")
    assert (said.out, said.code) == ("", 0)
    assert said.err == "Prompts of all tasks of run r1 show it from now on.\n"
    (note,) = cli("notes", "--json").json()["notes"]
    assert note.pop("at").endswith("Z")
    assert note == {"from_task": None, "to_task": None, "text": "the API has moved"}


def test_json_is_the_note(cli: Any, run: str) -> None:
    said = cli("note", "--to", "b", "--from", "a", "--run-id", "r1", "x", "--json").json()
    assert said.pop("at")
    assert said == {"run_id": "r1", "from_task": "a", "to_task": "b", "text": "x"}


def test_an_agent_in_its_workspace_reaches_the_run_it_belongs_to(
    cli: Any, run: str, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    assert "is not inside a git repository" in cli("note", "x").err
    monkeypatch.setenv("MAESTRO_REPOSITORY", str(layout.repository))
    monkeypatch.setenv("MAESTRO_RUN_ID", run)
    monkeypatch.setenv("MAESTRO_TASK_ID", "a")
    said = cli("note", "x", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json()["from_task"] == "a"
    assert "a to all" in cli("notes").out
    assert "is not inside a git repository" in cli("-C", str(workspace), "note", "x").err, "-C comes first"
    monkeypatch.setenv("MAESTRO_REPOSITORY", str(tmp_path / "gone"))
    assert "MAESTRO_REPOSITORY names" in cli("note", "x").err


def test_an_agent_s_own_task_is_no_name_in_another_run(
    cli: Any, run: str, write_run: Any, alive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run("other", STORY[:1])
    alive("other")
    monkeypatch.setenv("MAESTRO_RUN_ID", run)
    monkeypatch.setenv("MAESTRO_TASK_ID", "a")
    assert cli("note", "--run-id", "other", "x", "--json").json()["from_task"] is None


def test_which_run_is_meant_must_be_clear(cli: Any, write_run: Any, alive: Any) -> None:
    assert "No run is under way in" in cli("note", "x").err
    for name in ("r1", "r2"):
        write_run(name, STORY[:1])
        alive(name)
    said = cli("note", "x")
    assert said.code == 2
    assert said.err == "Error: 2 runs are under way here: r1, r2.\nHint: Name one with --run-id.\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("note", ""), "The note is empty."),
        (("note", "x" * 5000), "The note has 5,000 characters, of at most 4,000."),
        (("note", "--to", "zz", "x"), "Run r1 has no task zz."),
        (("note", "--run-id", "nope", "x"), "There is no run nope in"),
        (("note",), "Missing argument 'TEXT'."),
        (("notes", "--run-id", "nope"), "There is no run nope in"),
    ],
)
def test_what_cannot_be_used(cli: Any, run: str, argv: tuple[str, ...], words: str) -> None:
    said = cli(*argv, "--json")
    assert said.code == 2
    assert said.json()["error"]["message"].startswith(words)


def test_standard_input(cli: Any, run: str) -> None:
    assert cli("note", "-", "--json", stdin="several\nlines\n").json()["text"] == "several\nlines"


def test_what_is_shown_moves_nobody_s_cursor(cli: Any, run: str) -> None:
    cli("note", "red \x1b[31m alert\nsecond\x07 line", "--to", "b")
    cli("note", "to all")
    said = cli("notes").out.splitlines()
    assert [line for line in said if line.startswith("  ")] == ["  red [31m alert", "  second line", "  to all"]
    assert said[0].endswith("  a person to b")
    only = cli("notes", "--for", "a").out
    assert "to all" in only
    assert "alert" not in only


def test_no_note_and_no_run(cli: Any, write_run: Any) -> None:
    assert "There was no run yet in" in cli("notes").err
    write_run("r1", STORY[:1])
    said = cli("notes")
    assert (said.out, said.err, said.code) == ("", "No note in run r1.\n", 0)
