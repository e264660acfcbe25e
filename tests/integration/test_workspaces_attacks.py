"""What agents do to their workspaces: each ends in work that is kept, or in clear words (FIELD 1, 5, 17)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import WorkEvidence, Workspace, WorkspaceSpec
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.registry import open_workspaces

KINDS = ("worktree", "clone", "copy")
BRANCH = "maestro/r1/t1"


class Bench:
    """One workspace of one kind, with an agent's shell in it."""

    def __init__(self, kind: str, repo: Repository, root: Path) -> None:
        self.repo = repo
        self.base = repo.head
        self.workspaces: Lifecycle = open_workspaces(kind, git=open_repository(repo.path), root=root)
        spec = WorkspaceSpec(run_id="r1", task_id="t1", task_name="t1", attempt=1, base=self.base, branch=BRANCH)
        self.workspace: Workspace = self.workspaces.create(spec)

    def agent(self, command: str) -> None:
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **self.workspace.env, "B": BRANCH}
        done = subprocess.run(["sh", "-ec", command], cwd=self.workspace.repo, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def collect(self) -> WorkEvidence:
        return self.workspaces.collect(self.workspace, "left over")

    def save(self) -> str | None:
        return self.workspaces.save(self.workspace, "r1", "t1")


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, repo: Repository, tmp_path: Path) -> Iterator[Bench]:
    repo.commit({"a.txt": "a\n", "b.txt": "b\n", ".gitignore": "*.log\n"})
    before = state_of(repo)
    made = Bench(request.param, repo, tmp_path / "root")
    yield made
    assert state_of(repo) == before, "the user's checkout was touched"
    made.workspaces.remove(made.workspace)
    assert not made.workspace.home.exists()
    assert len(repo.git("worktree", "list").splitlines()) == 1
    assert repo.git("fsck", "--no-progress", "--no-dangling") == ""


def state_of(repo: Repository) -> tuple[str, str, str]:
    return repo.git("status", "--porcelain", "--branch"), repo.git("rev-parse", "main"), repo.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("command", "remark", "changed"),
    [
        ("git checkout -qb side; echo x > x; git add x; git commit -qm x", "on branch side", ("x",)),
        ("git checkout -q --detach; echo x > x; git add x; git commit -qm x", "on a detached HEAD", ("x",)),
        (
            "git checkout -qb side; echo x > x; git add x; git commit -qm x; git checkout -q $B",
            "on branch side",
            ("x",),
        ),
        ("echo x > x; git add x; git commit -qm x; git checkout -q --detach HEAD~1", "", ("x",)),
        ("git checkout -qb side; git branch -qD $B; echo x > x", "on branch side", ("x",)),
        ("echo x > x; git add x; git commit -qm x; git branch -m renamed", "on branch renamed", ("x",)),
        ("git checkout -q --detach; echo x > x", "on a detached HEAD", ("x",)),
        ("echo x > x; git add x; git commit -qm x; git checkout -qb z; echo y > y", "on branch z", ("x", "y")),
    ],
)
def test_commits_elsewhere_are_found(bench: Bench, command: str, remark: str, changed: tuple[str, ...]) -> None:
    bench.agent(command)
    evidence = bench.collect()
    assert evidence.damage is None
    assert evidence.changed_paths == changed
    assert any(remark in one for one in evidence.remarks) == bool(remark)
    assert bench.repo.git("rev-parse", BRANCH) == evidence.tip


def test_work_thrown_away_on_purpose_stays_away(bench: Bench) -> None:
    bench.agent("echo x > x; git add x; git commit -qm x; git reset -q --hard HEAD~1")
    assert bench.collect().tip is None


def test_two_lines_of_work_are_both_kept(bench: Bench) -> None:
    bench.agent(
        "echo x > x; git add x; git commit -qm x;git checkout -qb other HEAD~1; echo y > y; git add y; git commit -qm y"
    )
    evidence = bench.collect()
    assert evidence.changed_paths == ("y",)
    assert any("is not part of them" in one for one in evidence.remarks)
    assert "x" in bench.repo.files("refs/maestro/saved/r1/t1")


def test_a_head_moved_off_the_base_is_said(bench: Bench) -> None:
    if bench.workspaces.kind == "copy":
        bench.agent("test $(git rev-list --count HEAD) = 1")  # there is nothing before the base
        return
    bench.agent("git reset -q --hard HEAD~1; echo x > x; git add x; git commit -qm x")
    evidence = bench.collect()
    assert evidence.new_commits == 1
    assert any("moved off the base: 1 " in one for one in evidence.remarks)


def test_an_unrelated_history_is_damage_and_saved(bench: Bench) -> None:
    bench.agent("git checkout -q --orphan fresh; git rm -rfq .; echo x > x; git add x; git commit -qm x")
    evidence = bench.collect()
    assert evidence.damage == "its commits share no history with the base"
    ref = bench.save()
    assert ref is not None
    assert bench.repo.files(ref) == ["x"]


def test_a_branch_without_commits_is_damage(bench: Bench) -> None:
    bench.agent("git checkout -q --orphan fresh; echo x > x")
    assert "without commits" in (bench.collect().damage or "")
    ref = bench.save()
    assert ref is not None
    assert "x" in bench.repo.files(ref)


def test_conflicts_left_behind_are_damage_and_saved(bench: Bench) -> None:
    bench.agent(
        "git checkout -qb s; echo s > a.txt; git commit -qam s; git checkout -q $B; echo t > a.txt; git commit -qam t;"
        "git merge -q s || true"
    )
    assert bench.collect().damage == "a merge was left with unresolved conflicts in a.txt"
    ref = bench.save()
    assert ref is not None
    assert "<<<<<<<" in bench.repo.show(ref, "a.txt")


def test_a_resolved_merge_is_finished(bench: Bench) -> None:
    bench.agent(
        "git checkout -qb s; echo s > a.txt; git commit -qam s; git checkout -q $B; echo t > a.txt; git commit -qam t;"
        "git merge -q s || true; echo both > a.txt; git add a.txt"
    )
    evidence = bench.collect()
    assert evidence.damage is None
    assert evidence.new_commits == 3
    assert evidence.tip is not None
    assert bench.repo.show(evidence.tip, "a.txt") == "both"


def test_an_unfinished_rebase_is_damage(bench: Bench) -> None:
    bench.agent(
        "echo 1 > a.txt; git commit -qam 1; echo 2 > b.txt; git commit -qam 2;"
        "GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase -q -i HEAD~2 2>/dev/null"
    )
    assert bench.collect().damage == "a rebase was left unfinished"
    ref = bench.save()
    assert ref is not None
    assert bench.repo.show(ref, "b.txt") == "2" or bench.repo.show(f"{ref}^2", "b.txt") == "2"


def test_git_deleted(bench: Bench) -> None:
    bench.agent("echo x > x; git add x; git commit -qm x; echo y > y; rm -rf .git")
    evidence = bench.collect()
    assert evidence.damage is None
    assert evidence.changed_paths == ("x", "y")
    assert evidence.new_commits == (2 if bench.workspaces.kind == "worktree" else 1)
    assert ".git was" in evidence.remarks[0]
    bench.agent("git status")  # mended


def test_git_replaced_by_a_repository_of_its_own(bench: Bench) -> None:
    bench.agent("rm -rf .git; git init -q; echo x > x; git add -A; git commit -qm 'my own'; echo y > y")
    evidence = bench.collect()
    assert evidence.damage is None
    assert evidence.changed_paths == ("x", "y")
    if bench.workspaces.kind == "worktree":
        kept = bench.workspace.home / "replaced-git-1"
        assert (
            subprocess.run(["git", f"--git-dir={kept}", "log", "--format=%s"], capture_output=True).stdout
            == b"my own\n"
        )


def test_git_pointing_at_the_checkout_of_the_user_writes_nothing_there(bench: Bench) -> None:
    bench.agent(f"rm -rf .git; echo 'gitdir: {bench.repo.path}/.git' > .git; echo x > x")
    evidence = bench.collect()
    assert evidence.changed_paths == ("x",)
    assert bench.save() is not None


def test_git_linked_to_the_checkout_of_the_user_writes_nothing_there(bench: Bench) -> None:
    bench.agent(f"rm -rf .git; ln -s '{bench.repo.path}/.git' .git; echo x > x")
    assert bench.collect().changed_paths == ("x",)


def test_the_git_dir_of_a_worktree_destroyed(repo: Repository, tmp_path: Path) -> None:
    bench = Bench("worktree", repo, tmp_path / "root")
    bench.agent('echo x > x; git add x; git commit -qm x; echo y > y; rm -rf "$(git rev-parse --git-dir)"')
    evidence = bench.collect()
    assert evidence.damage == "its git directory is gone"
    ref = bench.save()
    assert ref is not None
    assert bench.repo.files(ref) == ["README.md", "x", "y"]
    bench.workspaces.remove(bench.workspace)


def test_a_head_that_is_rubbish(bench: Bench) -> None:
    bench.agent('echo x > x; git add x; git commit -qm x; echo rubbish > "$(git rev-parse --git-dir)/HEAD"; echo y > y')
    evidence = bench.collect()
    if bench.workspaces.kind == "worktree":
        assert evidence.damage is not None
        assert evidence.damage.startswith("its repository cannot be read")
        ref = bench.save()
        assert ref is not None
        assert set(bench.repo.files(ref)) >= {"x", "y"}
    else:  # a clone is made again around its files
        assert evidence.changed_paths == ("x", "y")


def test_locks_of_a_killed_git(bench: Bench) -> None:
    bench.agent(
        'echo x > x; touch "$(git rev-parse --git-path index.lock)" "$(git rev-parse --git-path refs/heads/$B.lock)"'
    )
    evidence = bench.collect()
    assert evidence.changed_paths == ("x",)
    assert any("index.lock" in one for one in evidence.remarks)


def test_a_repository_inside_the_repository(bench: Bench) -> None:
    bench.agent(
        "mkdir -p vendor/lib 'odd [x]'; echo x > x; echo n > vendor/n;"
        "(cd vendor/lib; git init -q; echo l > l; git add l; git commit -qm l);"
        "cd 'odd [x]'; git init -q; echo o > o; ln -s o p"
    )
    ref = bench.save()
    assert ref is not None
    assert set(bench.repo.files(ref)) >= {"vendor/lib/l", "odd [x]/o", "odd [x]/p", "vendor/n", "x"}
    evidence = bench.collect()
    assert evidence.damage is None
    assert evidence.changed_paths == ("vendor/n", "x")
    assert "vendor/lib/ is a git repository of its own: it is not part of the work" in evidence.remarks


def test_a_bare_link_committed_by_the_agent_is_damage(bench: Bench) -> None:
    bench.agent(
        "mkdir lib; (cd lib; git init -q; echo l > l; git add l; git commit -qm l); git add lib; git commit -qm lib"
    )
    assert bench.collect().damage == "it committed the git repository lib as a bare link, without its files"


def test_a_stash_and_branches_of_a_clone_are_saved(bench: Bench) -> None:
    bench.agent(
        "echo s > a.txt; git stash -q; git checkout -qb s; echo u > u; git add u; git commit -qm u; git checkout -q $B"
    )
    ref = bench.save()
    if bench.workspaces.kind == "worktree":
        assert bench.repo.git("stash", "list") != ""  # shared with the user's repository: they stay there
        assert bench.repo.show("s", "u") == "u"
        bench.repo.git("stash", "drop", "-q")
        return
    assert ref is not None
    saved = bench.repo.git("log", "--format=%s", ref)
    assert "\nu\n" in f"\n{saved}\n"
    assert f"WIP on {BRANCH}" in saved


def test_odd_files(bench: Bench) -> None:
    bench.agent(
        "mkfifo pipe; ln -s /etc/passwd link; ln -s nowhere dangling; echo x > x; chmod 755 a.txt;"
        ": > empty; mkdir hollow"
    )
    evidence = bench.collect()
    assert evidence.changed_paths == ("a.txt", "dangling", "empty", "link", "x")


def test_very_many_files(bench: Bench) -> None:
    folder = bench.workspace.repo / "many"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number}.txt").write_text(str(number))
    evidence = bench.collect()
    assert len(evidence.changed_paths) == 400


def test_the_whole_folder_deleted_by_agent_or_user(bench: Bench) -> None:
    bench.agent("echo x > x; git add x; git commit -qm x")
    shutil.rmtree(bench.workspace.repo)
    assert bench.collect().damage == "its folder is gone"
    ref = bench.save()
    if bench.workspaces.kind == "worktree":
        assert ref is not None
        assert "x" in bench.repo.files(ref)


@contextmanager
def as_nobody(top: Path) -> Iterator[None]:
    """Permissions mean nothing to root: give the folder to another user and act as that one."""
    if os.getuid() != 0:
        yield
        return
    subprocess.run(["chown", "-R", "65534:65534", top], check=True)
    os.setresuid(65534, 65534, 0)  # the real one too: a shell would go back to it
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_workspace(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    top = Path(tempfile.mkdtemp(prefix="maestro-read-only-"))
    monkeypatch.setenv("HOME", str(top))
    make_repository(top / "project")
    try:
        with as_nobody(top):
            bench = Bench(kind, Repository(top / "project"), top / "root")
            repo, home = bench.workspace.repo, bench.workspace.home
            (repo / "d").mkdir()
            (repo / "d" / "new").write_text("n")
            (repo / "secret").write_text("s")
            (repo / "secret").chmod(0)
            (repo / "d").chmod(0)
            lock_up = ["chmod", "-R", "a-w", str(repo)]
            subprocess.run(lock_up, capture_output=True)  # d itself it cannot look into
            repo.chmod(0)
            home.chmod(0)
            assert bench.save() is not None
            subprocess.run(lock_up, capture_output=True)  # d itself it cannot look into
            evidence = bench.collect()
            assert evidence.damage is None
            assert evidence.changed_paths == ("d/new", "secret")
            subprocess.run(["chmod", "-R", "a-w", str(home)], check=True)
            home.chmod(0)
            bench.workspaces.remove(bench.workspace)
            assert not home.exists()
    finally:
        shutil.rmtree(top)
