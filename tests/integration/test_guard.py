"""The guard over the user's checkout (W-3), on real checkouts and real processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.guard import AttemptTrace, Change, compare, snapshot, trace


def changes_by(repo: Repository, command: str, own: tuple[Path, ...] = ()) -> list[str]:
    git = open_repository(repo.path)
    before = snapshot(git, own)
    subprocess.run(["sh", "-c", command], cwd=repo.path, check=True, capture_output=True)
    return [change.what for change in compare(before, snapshot(git, own))]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", []),
        ("echo x > leak.txt", ["untracked file leak.txt appeared"]),
        ("mkdir d && echo x > 'd/a b'", ["untracked file d/a b appeared"]),
        ("rm mine.txt", ["untracked file mine.txt is gone"]),
        ("echo more >> mine.txt", ["untracked file mine.txt was changed"]),
        ("echo x >> README.md", ["file README.md was changed"]),
        ("echo x >> dirty.txt", ["file dirty.txt was changed again"]),
        ("git add dirty.txt", ["the index entry of dirty.txt was changed"]),
        ("git checkout -q dirty.txt", ["file dirty.txt was put back to what is committed"]),
        ("git rm -q --cached README.md", ["untracked file README.md appeared"]),
        ("git checkout -q --detach", ["branch switched from main to a detached HEAD"]),
        ("git branch other && git branch maestro/r/t && git branch integration/r", ["branch other appeared at {head}"]),
        ("git update-ref refs/maestro/saved/r/t HEAD", []),
        ("echo x > ignored.log", []),
        ("printf x > \"$(printf 'odd\\351')\"", ["untracked file odd\\xe9 appeared"]),
    ],
)
def test_what_changed_is_said(repo: Repository, command: str, said: list[str]) -> None:
    repo.commit({".gitignore": "*.log\n", "dirty.txt": "a\n"})
    repo.write({"mine.txt": "mine\n", "dirty.txt": "dirty\n"})
    expected = [one.format(head=repo.head[:12]) for one in said]
    assert changes_by(repo, command) == expected


def test_a_commit_of_the_user_is_said_with_both_ends(repo: Repository) -> None:
    old = repo.head
    found = changes_by(repo, "echo x > x && git add x && git commit -qm x")
    assert found == [f"branch main moved from {old[:12]} to {repo.head[:12]}"]


def test_a_move_of_a_detached_head_is_said(repo: Repository) -> None:
    old = repo.head
    new = repo.commit({"x": "x"})
    repo.git("checkout", "-q", "--detach")
    assert changes_by(repo, f"git checkout -q {old}") == [f"HEAD moved from {new[:12]} to {old[:12]}"]


def test_what_maestro_and_trackers_write_is_not_said(repo: Repository) -> None:
    own = (repo.path / ".flow" / "maestro" / "runs", repo.path / "tasks.json")
    assert (
        changes_by(repo, "mkdir -p .flow/maestro/runs/a && echo > .flow/maestro/runs/a/j && echo {} > tasks.json", own)
        == []
    )
    assert changes_by(repo, "echo x > tasks.json.bak", own) == ["untracked file tasks.json.bak appeared"]


def test_looking_does_not_write_the_index(repo: Repository) -> None:
    index = repo.path / ".git" / "index"
    os.utime(repo.path / "README.md", (1, 1))  # stale stat data would tempt git to refresh it
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    snapshot(open_repository(repo.path))
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


LEAK = (Change(path="leak.txt", what="untracked file leak.txt appeared"),)


def test_a_live_process_in_the_checkout_is_traced_by_its_marker(repo: Repository, tmp_path: Path) -> None:
    script = "cd $0; echo ready; read line"
    child = subprocess.Popen(
        ["sh", "-c", script, str(repo.path)],
        env={**os.environ, "MAESTRO_ATTEMPT": "guard-test/t7/1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        attempts = [
            AttemptTrace(task="t6", marker="guard-test/t6/1"),
            AttemptTrace(task="t7", marker="guard-test/t7/1"),
        ]
        found = trace(LEAK, repo.path, attempts)
        assert found is not None
        assert found.task == "t7"
        assert f"process {child.pid} works in {repo.path}" in found.evidence
    finally:
        child.communicate()


def test_a_live_process_that_writes_there_is_traced(repo: Repository, tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["sh", "-c", f"exec 7> '{repo.path}/leak.txt'; echo ready; read line"],
        cwd=tmp_path,
        env={**os.environ, "MAESTRO_ATTEMPT": "guard-test/t8/1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        found = trace(LEAK, repo.path, [AttemptTrace(task="t8", marker="guard-test/t8/1")])
        assert found is not None
        assert found.evidence == f"its process {child.pid} writes to {repo.path}/leak.txt"
    finally:
        child.communicate()


def test_words_and_files_that_trace(repo: Repository, tmp_path: Path) -> None:
    def traced(**known: object) -> str | None:
        attempt = AttemptTrace(task="t", marker="guard-test/gone/1", **known)  # type: ignore[arg-type]
        found = trace(LEAK, repo.path, [attempt])
        return found.evidence if found else None

    output = tmp_path / "stdout"
    script = tmp_path / "agent.sh"
    script.write_text('echo x > "$CHECKOUT/leak.txt"\n')
    inside = repo.path / "tools" / "agent.py"
    inside.parent.mkdir()
    inside.write_text("print()\n")
    assert traced(command_line=f"sh -c 'echo x > {repo.path}/leak.txt'") == "its command names the path"
    assert traced(command_line=f"sh -c 'cd {repo.path} && make'") == f"its command names {repo.path}"
    assert traced(command_line=f"sh {script}") == f"its script {script} names leak.txt"
    assert traced(command_line="sh -c 'echo > ../x/leak.txt'") == "its command names leak.txt"
    assert traced(paths=("leak.txt",)) == "leak.txt is one of its files"
    output.write_bytes(b"x" * (3 << 20) + b"\nwriting " + os.fsencode(repo.path) + b"/leak.txt\n")
    assert traced(output_files=(output,)) == "its output (stdout) names the path"
    output.write_text(f'{{"command": "cd {repo.path} && ls"}}\n')
    assert traced(output_files=(output,)) == f"its output (stdout) goes to {repo.path}"
    output.write_text(f"{repo.path} abc [main]\n{repo.path}/.git/worktrees/x\n{repo.path}-other/leak.txt\n")
    assert traced(output_files=(output, tmp_path / "missing")) is None
    assert traced(command_line=f"python3 {inside}", paths=("other.txt",)) is None
    assert trace((), repo.path, [AttemptTrace(task="t", marker="m", paths=("leak.txt",))]) is None


def test_a_file_that_is_being_replaced_whole_is_the_trackers_own(repo: Repository) -> None:
    plan = repo.path / "plan" / "tasks.json"
    repo.commit({"plan/tasks.json": "[]"}, "plan")
    git = open_repository(repo.path)
    before = snapshot(git, [plan])
    (plan.parent / ".tasks.json.abc123.tmp").write_text("[1]")
    assert compare(before, snapshot(git, [plan])) == ()
    (plan.parent / ".other.json.abc123.tmp").write_text("[1]")
    assert [change.path for change in compare(before, snapshot(git, [plan]))] == ["plan/.other.json.abc123.tmp"]


def test_a_lock_that_an_agent_holds_in_maestros_own_state_is_no_evidence(repo: Repository, tmp_path: Path) -> None:
    lock = repo.path / ".flow/maestro/locks/named/tests"
    lock.parent.mkdir(parents=True)
    child = subprocess.Popen(
        ["sh", "-c", f"exec 7> '{lock}'; echo ready; read line"],
        cwd=tmp_path,
        env={**os.environ, "MAESTRO_ATTEMPT": "guard-test/t9/1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert trace(LEAK, repo.path, [AttemptTrace(task="t9", marker="guard-test/t9/1")]) is None
    finally:
        child.communicate()
