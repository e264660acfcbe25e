"""The work of one commit is told by one process, and just as the work of any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import open_repository
from maestro.workspaces.base import Workspace
from maestro.workspaces.evidence import Place, gather
from maestro.workspaces.site import Identity

AUTHOR = Identity(name="Somebody", email="somebody@example.invalid")


def one(repo: Repository) -> None:
    repo.commit({"new\nline.txt": "1", "ümlaut.txt": "2"})


def moved_and_deleted(repo: Repository) -> None:
    repo.git("mv", "kept.txt", "moved.txt")
    repo.git("rm", "-q", "gone.txt")
    (repo.path / "link").symlink_to("moved.txt")
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "change")


def two(repo: Repository) -> None:
    repo.commit({"a.txt": "1"})
    repo.commit({"b.txt": "2"})


def undone(repo: Repository) -> None:
    repo.commit({"a.txt": "1"})
    repo.git("revert", "--no-edit", "HEAD")


def empty(repo: Repository) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")


def merged(repo: Repository) -> None:
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"side.txt": "1"})
    repo.git("checkout", "-q", "work")
    repo.commit({"own.txt": "1"})
    repo.git("merge", "-q", "--no-edit", "side")


def beside_the_base(repo: Repository) -> None:
    repo.git("reset", "-q", "--hard", "HEAD~1")
    repo.commit({"beside.txt": "1"})


def a_link_that_it_hides(repo: Repository) -> None:
    make_repository(repo.path / "lib")
    repo.git("-c", "advice.addEmbeddedRepo=false", "add", "lib")
    repo.commit({".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ./lib\n\tignore = all\n'})


@pytest.mark.parametrize(
    ("work", "commits", "paths", "is_off"),
    [
        (one, 1, ("new\nline.txt", "ümlaut.txt"), False),
        (moved_and_deleted, 1, ("gone.txt", "kept.txt", "link", "moved.txt"), False),
        (two, 2, ("a.txt", "b.txt"), False),
        (undone, 2, (), False),
        (empty, 1, (), False),
        (merged, 3, ("own.txt", "side.txt"), False),
        (a_link_that_it_hides, 1, (".gitmodules", "lib"), False),
        (beside_the_base, 1, ("beside.txt", "second.txt"), True),
    ],
)
def test_evidence(
    work: Callable[[Repository], None],
    commits: int,
    paths: tuple[str, ...],
    is_off: bool,
    repo: Repository,
    tmp_path: Path,
) -> None:
    repo.commit({"kept.txt": "kept\n" * 20, "gone.txt": "gone"})
    base = repo.commit({"second.txt": "1"})
    repo.git("checkout", "-q", "-b", "work")
    work(repo)
    git = open_repository(repo.path)
    workspace = Workspace(kind="worktree", home=tmp_path, repo=repo.path, base=base, branch="work", env={})
    git_dir = repo.path / ".git"
    found = gather(Place(git, git_dir, git_dir), workspace, "left", AUTHOR, []).evidence
    assert (found.tip, found.new_commits, found.damage) == (repo.head, commits, None)
    assert sorted(found.changed_paths) == list(paths)
    assert any("moved off the base" in remark for remark in found.remarks) is is_off
