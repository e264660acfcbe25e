"""plan and detect: the words and objects of C-1a, and how a bad backlog is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from maestro.testing.repository import Repository

TASKS = [
    {"id": "a", "title": "First [P:Group-X]", "files": ["m.py"]},
    {"id": "b", "title": "Second [P:Group-X]", "files": ["m.py"]},
    {"id": "c", "title": "Third", "dependencies": ["b"]},
]


@pytest.fixture
def backlog(repo: Repository) -> Path:
    file = repo.path / "tasks.json"
    file.write_text(json.dumps(TASKS))
    return file


def write(backlog: Path, *tasks: dict[str, Any]) -> None:
    backlog.write_text(json.dumps(tasks))


def test_text(cli: Any, backlog: Path) -> None:
    said = cli("plan", "--tasks-file", "tasks.json")
    assert said.code == 0
    assert said.err == "Backlog: tasks.json was given.\n"
    lines = said.out.splitlines()
    assert lines[:4] == [
        "Total tasks: 3",
        "Execution levels: 2",
        "Max parallel tasks: 2",
        "Theoretical speedup: 1.5x",
    ]
    assert cli("plan", "--tasks-file", "tasks.json", "--quiet").err == ""
    assert cli("plan").out == said.out, "the only backlog here is found without a flag"


def test_json_has_exactly_the_keys_of_the_contract(cli: Any, backlog: Path) -> None:
    plan = cli("plan", "--tasks-file", "tasks.json", "--json").json()
    assert plan == {
        "schedule": "stages",
        "total_tasks": 3,
        "levels": [["a", "b"], ["c"]],
        "max_parallel": 2,
        "theoretical_speedup": 1.5,
        "critical_path": plan["critical_path"],
        "groups": {"X": ["a", "b"]},
        "overlaps": [{"tasks": ["a", "b"], "files": ["m.py"]}],
        "blocked": [],
        "problems": [],
    }
    assert cli("plan", "--format", "json").json() == plan


FLAGS = {
    "--run-id": "r",
    "--schedule": "levels",
    "--agent": "claude",
    "--max-parallel": "2",
    "--test-command": "true",
    "--test-timeout": "5",
    "--integration-base-branch": "main",
    "--attempts": "1",
    "--task-timeout": "5",
    "--workspace": "worktree",
    "--workspace-root": "w",
    "--group-id": "X",
}
SWITCHES = ("--land-on-base", "--allow-overlap", "--keep-going")


def test_every_flag_of_the_contract_is_accepted(cli: Any, backlog: Path) -> None:
    flags = [word for pair in FLAGS.items() for word in pair]
    said = cli("plan", "--tasks-file", str(backlog), *flags, *SWITCHES, "--json")
    assert (said.code, said.json()["schedule"], said.json()["total_tasks"]) == (0, "levels", 2)
    said = cli("plan", "--tracker", "taskfile", "--tasks-file", "tasks.json", "--agent-command", "x", "--no-tests")
    assert said.code == 0


def test_it_changes_nothing(cli: Any, backlog: Path, repo: Repository) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in repo.path.rglob("*") if path.is_file()}

    before = everything()
    for form in ("text", "json", "dot", "mermaid"):
        assert cli("plan", "--format", form).code == 0
    assert everything() == before


def test_pictures(cli: Any, backlog: Path) -> None:
    assert cli("plan", "--format", "dot").out.startswith("digraph plan {\n")
    assert cli("plan", "--format", "mermaid").out.startswith("flowchart LR\n")


@pytest.mark.real("dot")
@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg(cli: Any, backlog: Path) -> None:
    said = cli("plan", "--format", "svg")
    assert said.code == 0
    assert said.out.rstrip().endswith("</svg>")
    assert "First" in said.out


def test_svg_without_graphviz(cli: Any, backlog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    said = cli("plan", "--format", "svg", "-q")
    assert (said.out, said.code) == ("", 2)
    assert said.err == (
        "Error: An SVG picture needs Graphviz, whose `dot` was not found on PATH.\n"
        "Hint: Install graphviz, or use --format dot or mermaid.\n"
    )


def test_an_impossible_plan_is_shown_and_ends_with_2(cli: Any, backlog: Path) -> None:
    write(backlog, {"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["a"]})
    said = cli("plan", "-q")
    assert said.code == 2
    assert "Problems:" in said.out
    assert said.err.startswith("Error: Tasks depend on each other in a circle: a → b → a.")
    said = cli("plan", "--json")
    assert said.code == 2
    assert [problem["kind"] for problem in said.json()["problems"]] == ["cycle"]


def test_a_backlog_that_is_all_done_is_no_mistake(cli: Any, backlog: Path) -> None:
    write(backlog, {"id": "a", "status": "done"})
    assert cli("plan").code == 0


def test_flags_are_stronger_than_variables_and_files(
    cli: Any, backlog: Path, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write({".flow/maestro/config.toml": 'schedule = "dataflow"\nmax_paralel = 2\n'})
    said = cli("plan", "--json")
    assert said.json()["schedule"] == "dataflow"
    assert "config.toml:2: unknown key max_paralel, did you mean max_parallel?" in said.err
    monkeypatch.setenv("MAESTRO_SCHEDULE", "levels")
    assert cli("plan", "--json").json()["schedule"] == "levels"
    assert cli("plan", "--json", "--schedule", "stages").json()["schedule"] == "stages"


def test_todos_on_standard_input(cli: Any) -> None:
    todos = json.dumps([{"content": "One [P:Group-X]", "status": "pending", "activeForm": "x"}])
    assert cli("plan", "--tasks-file", "-", "--json", stdin=todos).json()["total_tasks"] == 1
    assert list(cli("detect", "--tasks-file", "-", "--json", stdin=todos).json()["groups"]) == ["X"]


def test_a_list_of_todos_is_named_in_one_word(cli: Any, backlog: Path) -> None:
    todos = json.dumps([{"content": "One", "status": "pending"}, {"content": "Two", "status": "completed"}])
    (backlog.parent / "todos.json").write_text(todos)
    for argv, stdin in ((("--todos", "-"), todos), (("--todos", "todos.json"), "")):
        assert cli("plan", *argv, "--json", stdin=stdin).json()["total_tasks"] == 1
    one_sentence(
        cli("plan", "--todos", "-", "--tasks-file", "tasks.json"), "--todos and --tasks-file or another --track"
    )
    one_sentence(cli("plan", "--todos", "-", "--tracker", "beads"), "exclude each other")
    one_sentence(cli("plan", "--todos", "missing.json"), "missing.json")
    one_sentence(cli("plan", "--tracker", "todos"), "No list of todos was given")


@pytest.mark.parametrize("flag", ["--epic", "--label"])
def test_only_beads_has_epics_and_labels_to_choose_by(cli: Any, backlog: Path, flag: str) -> None:
    said = cli("plan", "--tasks-file", "tasks.json", flag, "bd-1")
    one_sentence(said, f"{flag} chooses among issues of beads, and this backlog is taskfile")
    assert "--group-id" in said.err


def test_detect(cli: Any, backlog: Path) -> None:
    said = cli("detect", "--tasks-file", "tasks.json")
    assert (said.out, said.code) == ("X            a, b\n_sequential  c\n", 0)
    assert cli("detect", "--json").json() == {"groups": {"X": ["a", "b"], "_sequential": ["c"]}}


def test_detect_works_outside_of_a_repository(
    cli: Any, backlog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("detect", "--tasks-file", str(backlog)).out == "X            a, b\n_sequential  c\n"


BAD_FILES = {
    "empty": b"",
    "binary": b"\x00\xff\x80",
    "no JSON": b"{",
    "no tasks": b'{"tasks": 3}',
    "a task without an id": b'[{"title": "x"}]',
}


@pytest.mark.parametrize("command", ["plan", "detect"])
@pytest.mark.parametrize("content", BAD_FILES)
def test_a_bad_task_file_is_one_sentence(cli: Any, backlog: Path, command: str, content: str) -> None:
    backlog.write_bytes(BAD_FILES[content])
    one_sentence(cli(command, "--tasks-file", "tasks.json", "-q"), "tasks.json")
    said = cli(command, "--tasks-file", "tasks.json", "--json")
    assert list(said.json()["error"]) == ["message", "hint"]


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("plan", "--tasks-file", "missing.json"), "missing.json"),
        (("detect", "--tasks-file", "missing.json"), "missing.json"),
        (("plan", "--tasks-file", "."), ""),
        (("plan", "--tracker", "nope"), "Invalid value for '--tracker'"),
        (("plan", "--tracker", "beads"), "beads"),
        (("plan", "--schedule", "nope"), "Invalid value for '--schedule'"),
        (("plan", "--max-parallel", "0"), "Invalid value for '--max-parallel'"),
        (("plan", "--task-timeout", "0"), "Invalid value for '--task-timeout'"),
        (("plan", "--format", "png"), "Invalid value for '--format'"),
        (("plan", "--test-command", "x", "--no-tests"), "exclude each other"),
        (("plan", "--integration-base-branch", "nope"), "nope"),
        (("plan", "--nope"), "--nope"),
        (("plan", "extra"), "extra"),
        (("execute",), "Execute needs a group"),
        (("execute", "--group-id", "X", "--tasks-file", "missing.json"), "missing.json"),
        (("run", "--tasks-file", "missing.json"), "missing.json"),
        (("run", "--run-id", "../x"), "../x"),
        (("run", "--agent", "nope", "--no-tests"), "nope"),
        (("demo", "extra"), "extra"),
        (("doctor", "extra"), "extra"),
        (("clean", "--nope"), "--nope"),
        (("clean", "extra"), "extra"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(cli: Any, backlog: Path, argv: tuple[str, ...], part: str) -> None:
    one_sentence(cli(*argv, "-q"), part)
    said = cli(*argv, "--json")
    assert (said.code, list(said.json()), list(said.json()["error"])) == (2, ["error"], ["message", "hint"])


def test_two_formats_at_once(cli: Any, backlog: Path) -> None:
    said = cli("plan", "--format", "dot", "--json")
    assert said.code == 2
    assert said.json()["error"]["message"] == "--json and --format dot exclude each other."


def test_a_repository_without_commits(cli: Any, repo: Repository, backlog: Path) -> None:
    shutil.rmtree(repo.path / ".git")
    repo.git("init", "-q")
    for command in ("plan", "run"):
        one_sentence(cli(command, "-q"), "no commits yet")


def one_sentence(said: Any, part: str) -> None:
    """Exit code 2, nothing on standard output, one sentence and at most one hint on standard error."""
    first, *rest = said.err.splitlines()
    assert (said.code, said.out) == (2, ""), said
    assert first.startswith("Error: ")
    assert first[-1] in ".?!"
    assert part in first
    assert [line.split()[0] for line in rest] in ([], ["Hint:"])


def test_a_backlog_that_is_all_done_is_said_without_a_word_of_problems(cli: Any, backlog: Path) -> None:
    write(backlog, {"id": "a", "status": "done"})
    said = cli("plan")
    assert said.code == 0
    assert said.out.endswith("Done before: 1\n\nnothing to do: every task of the backlog is done\n")
    assert "Problems" not in said.out
