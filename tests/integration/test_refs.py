"""Branches read from the files that git keeps them in say what git says."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.repository import IDENTITY, Repository
from maestro.vcs.git import Git, open_repository
from maestro.vcs.refs import tip_of, tips_of


@pytest.fixture
def git(repo: Repository) -> Git:
    return open_repository(repo.path)


def commit(git: Git, message: str) -> str:
    return git.text("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", message, env=IDENTITY)


def no_process(*args: object, **kwargs: object) -> object:
    raise AssertionError("a process was started")


def test_a_branch_that_was_moved_needs_no_process(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    tip = commit(git, "one")
    git.run("update-ref", "refs/heads/maestro/r/a", tip)
    git.common_dir()
    monkeypatch.setattr(Git, "_call", no_process)
    assert tip_of(git, "maestro/r/a") == tip
    assert tips_of(git, ["maestro/r/a"]) == {"maestro/r/a": tip}


def test_packed_branches_are_found_and_what_came_after_counts(git: Git) -> None:
    old, new = commit(git, "one"), commit(git, "two")
    for name in ("maestro/r/a", "maestro/r/b", "maestro/r/b-not-asked"):
        git.run("update-ref", f"refs/heads/{name}", old)
    git.run("pack-refs", "--all")
    git.run("update-ref", "refs/heads/maestro/r/a", new)
    assert (tip_of(git, "maestro/r/a"), tip_of(git, "maestro/r/b")) == (new, old)
    assert tips_of(git, ["maestro/r/a", "maestro/r/b", "maestro/r/gone"]) == {"maestro/r/a": new, "maestro/r/b": old}


def test_a_folder_of_branches_is_no_branch(git: Git) -> None:
    git.run("update-ref", "refs/heads/maestro/r/a", commit(git, "one"))
    assert tip_of(git, "maestro/r") is None
    assert tips_of(git, ["maestro/r", "nothing"]) == {}


def test_a_symbolic_branch_is_followed(git: Git) -> None:
    tip = commit(git, "one")
    git.run("update-ref", "refs/heads/real", tip)
    git.run("symbolic-ref", "refs/heads/alias", "refs/heads/real")
    assert tip_of(git, "alias") == tip
    assert tips_of(git, ["alias"]) == {"alias": tip}


@pytest.mark.parametrize("torn", [b"", b"0123", b"\0" * 41])
def test_a_file_that_a_power_loss_emptied_is_gits_to_judge(torn: bytes, git: Git) -> None:
    git.run("update-ref", "refs/heads/a", commit(git, "one"))
    (git.common_dir() / "refs/heads/a").write_bytes(torn)
    assert tip_of(git, "a") is None


def test_branches_are_those_of_the_repository_in_each_of_its_worktrees(git: Git, tmp_path: Path) -> None:
    git.run("worktree", "add", "-q", "-b", "there", str(tmp_path / "there"))
    tip = commit(git, "one")
    git.run("update-ref", "refs/heads/there", tip)
    assert tip_of(open_repository(tmp_path / "there"), "there") == tip
