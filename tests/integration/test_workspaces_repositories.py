"""Repositories that are not plain: submodules, LFS, sparse, shallow, other disks, worktrees of the user's (W-7)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from maestro.errors import BadInput, WorkspaceError
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.clone import CloneWorkspaces
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.preflight import preflight
from maestro.workspaces.registry import open_workspaces
from maestro.workspaces.site import survey

KINDS = ("worktree", "clone", "copy")


def made(kind: str, repo: Repository, root: Path) -> tuple[Lifecycle, Workspace]:
    workspaces = open_workspaces(kind, git=open_repository(repo.path), root=root)
    spec = WorkspaceSpec(run_id="r", task_id="t", task_name="t", attempt=1, base=repo.head, branch="maestro/r/t")
    return workspaces, workspaces.create(spec)


def agent(workspace: Workspace, command: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **workspace.env}
    done = subprocess.run(["sh", "-ec", command], cwd=workspace.repo, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def with_submodule(repo: Repository, tmp_path: Path) -> Repository:
    """project → lib → inner, all initialised; `other` is declared and not initialised."""
    inner = make_repository(tmp_path / "inner", {"inner.txt": "i\n"})
    lib = make_repository(tmp_path / "lib", {"lib.txt": "l\n"})
    allow = ("-c", "protocol.file.allow=always")
    lib.git(*allow, "submodule", "add", "-q", str(inner.path), "nested/inner")
    lib.git("commit", "-qm", "inner")
    repo.git(*allow, "submodule", "add", "-q", str(lib.path), "my lib")
    repo.git(*allow, "submodule", "add", "-q", str(inner.path), "other")
    repo.git("commit", "-qm", "submodules")
    repo.git(*allow, "submodule", "update", "-q", "--init", "--recursive")
    repo.git("submodule", "deinit", "-q", "-f", "other")
    (repo.path / ".git" / "modules" / "other").rename(tmp_path / "gone")
    for source in (inner, lib):
        source.path.rename(source.path.with_suffix(".offline"))  # nothing may be fetched from there any more
    return repo


@pytest.mark.parametrize("kind", KINDS)
def test_submodules_come_from_the_repository_of_the_user(kind: str, with_submodule: Repository, tmp_path: Path) -> None:
    config = (with_submodule.path / ".git" / "config").read_text()
    remarks = preflight(open_repository(with_submodule.path))
    assert remarks == ("submodule other not initialised in the checkout: empty in the workspaces too",)
    workspaces, workspace = made(kind, with_submodule, tmp_path / "root")
    assert (workspace.repo / "my lib" / "lib.txt").read_text() == "l\n"
    assert (workspace.repo / "my lib" / "nested" / "inner" / "inner.txt").read_text() == "i\n"
    assert agent(workspace, "git status --porcelain") == ""
    agent(workspace, "echo x > x; echo dirt >> 'my lib/lib.txt'")
    evidence = workspaces.collect(workspace, "m")
    assert evidence.changed_paths == ("x",)
    workspaces.remove(workspace)
    assert not workspace.home.exists()
    assert with_submodule.git("status", "--porcelain") == ""
    assert (with_submodule.path / ".git" / "config").read_text() == config


@pytest.mark.parametrize("kind", KINDS)
def test_a_submodule_moved_by_the_agent_keeps_its_commit(kind: str, with_submodule: Repository, tmp_path: Path) -> None:
    workspaces, workspace = made(kind, with_submodule, tmp_path / "root")
    agent(workspace, "cd 'my lib'; echo m > m; git add m; git commit -qm m")
    tip = agent(workspace, "cd 'my lib'; git rev-parse HEAD")
    evidence = workspaces.collect(workspace, "m")
    assert evidence.changed_paths == ("my lib",)
    assert any("submodule my lib is now at" in one for one in evidence.remarks)
    workspaces.remove(workspace)
    kept = Repository(with_submodule.path / "my lib")
    assert kept.show(tip, "m") == "m"
    assert "refs/maestro/" in kept.git("for-each-ref", f"--contains={tip}", "--format=%(refname)")


@pytest.mark.parametrize("kind", KINDS)
def test_lfs_without_git_lfs_leaves_pointers(kind: str, repo: Repository, tmp_path: Path, hermetic: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    repo.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "big.bin": pointer})
    (hermetic / ".gitconfig").write_text(
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
        "\tprocess = git-lfs filter-process\n\trequired = true\n"
    )
    remarks = preflight(open_repository(repo.path))
    assert remarks == ("files are kept in git LFS and git-lfs is not installed: agents see the pointers",)
    workspaces, workspace = made(kind, repo, tmp_path / "root")
    assert (workspace.repo / "big.bin").read_text() == pointer
    agent(workspace, "echo x > new.bin; git add new.bin; git commit -qm x; echo y > more.bin; git status")
    assert workspaces.collect(workspace, "m").changed_paths == ("more.bin", "new.bin")
    assert workspaces.save(workspace, "r", "t") is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["per worktree", "old"])
def test_a_sparse_checkout_gives_full_workspaces(kind: str, way: str, repo: Repository, tmp_path: Path) -> None:
    repo.commit({"a/x": "x", "b/y": "y", "c/z": "z"})
    if way == "old":
        repo.git("config", "core.sparseCheckout", "true")
        (repo.path / ".git" / "info" / "sparse-checkout").write_text("/a/\n")
        repo.git("read-tree", "-mu", "HEAD")
    else:
        repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "a")
    assert not (repo.path / "b").exists()
    assert "the checkout is sparse: workspaces hold all files" in preflight(open_repository(repo.path))
    workspaces, workspace = made(kind, repo, tmp_path / "root")
    assert (workspace.repo / "b" / "y").is_file()
    agent(
        workspace,
        "echo x > b/new; git checkout -q HEAD -- .; git reset -q --hard; git add b; git commit -qm b; echo > c/n",
    )
    assert (workspace.repo / "c" / "z").is_file()
    assert workspaces.collect(workspace, "m").changed_paths == ("b/new", "c/n")
    assert workspaces.save(workspace, "r", "t") is not None
    workspaces.remove(workspace)
    assert repo.git("status", "--porcelain") == ""
    assert not (repo.path / "b").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shallow_repository(kind: str, repo: Repository, tmp_path: Path) -> None:
    repo.commit({"a": "1"})
    repo.commit({"a": "2"})
    subprocess.run(["git", "clone", "-q", "--depth=2", f"file://{repo.path}", tmp_path / "shallow"], check=True)
    shallow = Repository(tmp_path / "shallow")
    assert preflight(open_repository(shallow.path)) == (
        "the repository is shallow: agents see no more history than it has",
    )
    workspaces, workspace = made(kind, shallow, tmp_path / "root")
    agent(workspace, "echo x > x; git add x; git commit -qm x; git log --oneline")
    evidence = workspaces.collect(workspace, "m")
    assert evidence.new_commits == 1
    assert shallow.git("rev-parse", "maestro/r/t") == evidence.tip
    assert shallow.git("rev-parse", "maestro/r/t^") == shallow.head


@pytest.mark.parametrize("kind", KINDS)
def test_from_a_worktree_of_the_user(kind: str, repo: Repository, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", "-b", "mine", str(tmp_path / "mine"))
    linked = Repository(tmp_path / "mine")
    linked.commit({"m": "m"})
    workspaces, workspace = made(kind, linked, tmp_path / "root")
    assert workspace.repo.name == "mine"
    agent(workspace, "echo x > x; git add x; git commit -qm x")
    assert workspaces.collect(workspace, "m").changed_paths == ("x",)
    workspaces.remove(workspace)
    assert linked.git("status", "--porcelain") == ""
    assert len(repo.git("worktree", "list").splitlines()) == 2


def test_a_clone_that_borrows_nothing_stands_alone(repo: Repository, tmp_path: Path) -> None:
    repo.commit({"a": "a"})
    workspaces = CloneWorkspaces(survey(open_repository(repo.path), tmp_path / "root"), borrow=False)
    spec = WorkspaceSpec(run_id="r", task_id="t", task_name="t", attempt=1, base=repo.head, branch="maestro/r/t")
    workspace = workspaces.create(spec)
    assert not (workspace.repo / ".git" / "objects" / "info" / "alternates").exists()
    assert agent(workspace, "git rev-list --count HEAD; git fsck 2>&1") == "2"


def test_a_clone_cannot_push_by_habit(repo: Repository, tmp_path: Path) -> None:
    _, workspace = made("clone", repo, tmp_path / "root")
    with pytest.raises(AssertionError, match="no-push"):
        agent(workspace, "echo x > x; git add x; git commit -qm x; git push origin HEAD:main")
    agent(workspace, "git fetch -q origin; git rev-parse origin/main")


def test_garbage_collection_by_the_user_takes_nothing_a_clone_needs(repo: Repository, tmp_path: Path) -> None:
    base = repo.commit({"only": "here"})
    workspaces, workspace = made("clone", repo, tmp_path / "root")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    assert agent(workspace, "git fsck --no-progress; git show HEAD:only") == "here"
    assert workspaces.collect(workspace, "m").damage is None
    assert repo.git("rev-parse", "maestro/r/t") == base


def test_preflight_refuses_what_cannot_work(tmp_path: Path, repo: Repository) -> None:
    empty = make_repository(tmp_path / "empty", {})
    with pytest.raises(BadInput, match="no commits yet"):
        preflight(open_repository(empty.path))
    repo.git("branch", "maestro")
    with pytest.raises(BadInput, match="branch maestro is in the way"):
        preflight(open_repository(repo.path))
    with pytest.raises(BadInput, match="not inside a git repository"):
        open_repository(tmp_path)


def test_preflight_says_what_surprises(repo: Repository) -> None:
    assert preflight(open_repository(repo.path)) == ()
    repo.git("checkout", "-q", "--detach")
    repo.write({"new": "n"})
    remarks = preflight(open_repository(repo.path))
    assert remarks == ("the checkout has 1 uncommitted change: it is not in the agents' work", "HEAD is detached")


def test_a_branch_in_use_elsewhere_is_said(repo: Repository, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", "-b", "maestro/r/t", str(tmp_path / "elsewhere"))
    with pytest.raises(WorkspaceError, match="is checked out at"):
        made("worktree", repo, tmp_path / "root")
    assert (tmp_path / "elsewhere" / "README.md").is_file()
