"""Bad input: one clear sentence and a hint, exit code 2, no traceback, nothing started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro.testing.commandline import Said, maestro
from maestro.testing.repository import Repository, make_repository
from tests.acceptance.conftest import WRITES_ONE_FILE, Run


def check_refused(said: Said, *words: str) -> None:
    assert said.code == 2, (said.code, said.out, said.err)
    error = said.json["error"]
    assert set(error) == {"message", "hint"}
    for word in words:
        assert word in error["message"], error
    assert error["message"].endswith((".", "?", ":"))
    assert "Traceback" not in said.err
    assert "Traceback" not in said.out


def test_not_a_git_repository(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    check_refused(run([{"id": "a"}], cwd=folder), "not inside a git repository")


def test_a_repository_without_commits(run: Run, tmp_path: Path) -> None:
    empty = make_repository(tmp_path / "empty", {})
    check_refused(run([{"id": "a"}], cwd=empty.path), "no commits yet")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("{", ["tasks.json"]),
        ('{"tasks": 3}', ["tasks.json"]),
        ('[{"title": "no id"}]', ["id"]),
        ('{"tasks": []}', []),
    ],
)
def test_task_files_that_cannot_be_used(repo: Repository, run: Run, content: str, words: list[str]) -> None:
    check_refused(run(content), *words)
    assert not (repo.path / ".flow").exists()


def test_a_binary_task_file(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(bytes(range(256)) * 10)
    said = maestro("run", "--tasks-file", str(path), "--agent-command", "true", "--no-tests", "--json", cwd=repo.path)
    check_refused(said)


def test_a_huge_task_file_is_refused_without_reading_it(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    said = maestro("run", "--tasks-file", str(path), "--agent-command", "true", "--no-tests", "--json", cwd=repo.path)
    check_refused(said, "MiB")


def test_a_missing_task_file(repo: Repository) -> None:
    said = maestro("run", "--tasks-file", "nope.json", "--agent-command", "true", "--no-tests", "--json", cwd=repo.path)
    check_refused(said, "nope.json")


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([{"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["a"]}], ["a", "b", "→"]),
        ([{"id": "a", "dependencies": ["ghost"]}], ["a", "ghost"]),
        ([{"id": "a"}, {"id": "a"}], ["a"]),
        ([{"id": "a", "dependencies": ["a"]}], ["a"]),
        ([{"id": "a", "title": "[P:Group-x] [P:Group-y]"}], ["a", "x", "y"]),
        ([{"id": "a", "group": "_sequential"}], ["_sequential"]),
    ],
)
def test_impossible_plans(run: Run, tasks: list[dict[str, object]], words: list[str]) -> None:
    check_refused(run(tasks), *words)


def test_an_unknown_group(run: Run) -> None:
    check_refused(run([{"id": "a"}], "--group-id", "nope"), "nope")


def test_an_unknown_agent(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text('[{"id": "a"}]')
    said = maestro("run", "--tasks-file", str(path), "--agent", "hal9000", "--no-tests", "--json", cwd=repo.path)
    check_refused(said, "hal9000")


def test_an_agent_that_is_not_installed(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text('[{"id": "a"}]')
    (tmp_path / "bin").mkdir()
    for tool in ("git", "sh"):
        (tmp_path / "bin" / tool).symlink_to(f"/usr/bin/{tool}")
    env = {"PATH": str(tmp_path / "bin")}
    said = maestro(
        "run", "--tasks-file", str(path), "--agent", "claude", "--no-tests", "--json", cwd=repo.path, env=env
    )
    check_refused(said, "claude")


def test_no_test_command_is_refused_at_the_start(repo: Repository, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text('[{"id": "a"}]')
    said = maestro("run", "--tasks-file", str(path), "--agent-command", "true", "--json", cwd=repo.path)
    check_refused(said, "No test command")
    assert "--no-tests" in said.json["error"]["hint"]


def test_a_role_without_a_template_is_refused_before_anything_starts(repo: Repository, run: Run) -> None:
    check_refused(run([{"id": "a"}, {"id": "b", "role": "juggler"}]), "b", "juggler")
    (repo.path / ".flow/maestro/prompts").mkdir(parents=True)
    (repo.path / ".flow/maestro/prompts/juggler.md").write_text("Juggle:\n{{task}}\n{{finish}}")
    assert run([{"id": "a"}, {"id": "b", "role": "juggler"}]).code == 0


def test_an_unknown_base_branch(run: Run) -> None:
    check_refused(run([{"id": "a"}], "--integration-base-branch", "nope"), "nope")


def test_a_run_id_that_is_taken_or_cannot_be_a_name(run: Run) -> None:
    assert run([{"id": "a"}], "--run-id", "mine").code == 0
    check_refused(run([{"id": "b"}], "--run-id", "mine"), "mine")
    check_refused(run([{"id": "b"}], "--run-id", "../x"), "../x")
    check_refused(run([{"id": "b"}], "--run-id", ""), "cannot name a run")


def test_a_workspace_root_inside_the_repository(repo: Repository, run: Run) -> None:
    check_refused(run([{"id": "a"}], "--workspace-root", str(repo.path / "ws")), "inside")


@pytest.mark.parametrize(
    "flags", [["--max-parallel", "0"], ["--attempts", "x"], ["--schedule", "random"], ["--nonsense"]]
)
def test_bad_flags(run: Run, flags: list[str]) -> None:
    check_refused(run([{"id": "a"}], *flags))


def test_a_detached_head_is_fine(repo: Repository, run: Run) -> None:
    repo.git("checkout", "-q", "--detach")
    assert run([{"id": "a"}]).code == 0
    assert repo.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_awkward_task_ids_all_land(repo: Repository, run: Run) -> None:
    ids = ["a/b c:d", "..", "-x", "x" * 200, "Case", "case", "ü\n\t'\"", "a__b", "$(touch /tmp/x)"]
    agent = (
        'n=$(printf %s "$MAESTRO_TASK_ID" | sha256sum | cut -c1-12); echo x > "f-$n" && git add -A && git commit -qm w'
    )
    said = run([{"id": one} for one in ids], agent=agent)
    assert said.code == 0, said.err
    assert set(said.statuses()) == set(ids)
    assert len(repo.files(said.json["integration_branch"])) == len(ids) + 1


def test_odd_file_names_survive(tmp_path: Path, run: Run) -> None:
    odd = make_repository(
        tmp_path / "odd repo ü", {"a b.txt": "1\n", "q\"'\\.txt": "2\n", "n\new.txt": "3\n", "ü.txt": "4\n"}
    )
    agent = 'for f in *; do echo more >> "$f"; done; echo x > "new $(printf \'a\\nb\')"; git add -A; git commit -qm odd'
    said = run([{"id": "a"}], agent=agent, cwd=odd.path)
    assert said.code == 0, said.err
    branch = said.json["integration_branch"]
    assert odd.show(branch, "q\"'\\.txt") == "2\nmore"
    assert odd.show(branch, "n\new.txt") == "3\nmore"
    assert odd.git("status", "--porcelain") == ""


def test_the_users_own_hooks_and_signing_do_not_stop_agents(repo: Repository, run: Run, hermetic: Path) -> None:
    for hook in ("pre-commit", "commit-msg", "post-checkout", "pre-push", "reference-transaction"):
        path = repo.path / ".git" / "hooks" / hook
        path.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
        path.chmod(0o755)
    (hermetic / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[user]\n\tsigningkey = DEADBEEF\n")
    said = run([{"id": "a"}])
    assert said.code == 0, said.err
    assert said.statuses() == {"a": "landed"}


def test_two_runs_at_once_share_nothing_or_are_refused(repo: Repository, tmp_path: Path) -> None:
    import subprocess

    from maestro.testing.commandline import command_line

    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"id": "a"}, {"id": "b"}]))
    go, done = tmp_path / "go", tmp_path / "started"
    agent = f"touch {done}; until [ -e {go} ]; do sleep 0.05; done; {WRITES_ONE_FILE}"
    first = subprocess.Popen(
        command_line("run", "--tasks-file", str(path), "--agent-command", agent, "--no-tests", "--json"),
        cwd=repo.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not done.exists():
            assert first.poll() is None
        same = maestro(
            "run", "--tasks-file", str(path), "--agent-command", "true", "--no-tests", "--json", cwd=repo.path
        )
        assert same.code == 3
        assert "held by run" in same.json["error"]["message"]
        other = tmp_path / "other.json"
        other.write_text(json.dumps([{"id": "x"}]))
        apart = maestro(
            "run", "--tasks-file", str(other), "--agent-command", WRITES_ONE_FILE, "--no-tests", "--json", cwd=repo.path
        )
        assert apart.code == 0, apart.err
    finally:
        go.touch()
        out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert json.loads(out)["status"] == "completed"
