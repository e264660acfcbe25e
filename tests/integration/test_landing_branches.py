"""Branches move by compare-and-swap, and never under a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.errors import BadInput, GitError
from maestro.integration.branches import (
    LandedOnBase,
    Refused,
    advance,
    check_land_on_base,
    checked_out_at,
    create_branch,
    land_on_base,
)
from maestro.testing.repository import Repository
from maestro.vcs.git import Git


def ahead(repo: Repository, files: dict[str, str] | None = None, base: str = "main") -> str:
    """A commit on top of a base, reachable from no branch; HEAD is on main again."""
    repo.git("checkout", "-q", "--detach", base)
    commit = repo.commit(files or {"new.txt": "new\n"})
    repo.git("checkout", "-q", "main")
    return commit


def on_base(repo: Repository, tip: str, base: str = "main") -> LandedOnBase | Refused:
    return land_on_base(Git(repo.path), base, tip, repo.head)


def test_a_branch_is_made_once(repo: Repository) -> None:
    git = Git(repo.path)
    create_branch(git, "integration/r1", repo.head)
    assert repo.git("rev-parse", "integration/r1") == repo.head
    with pytest.raises(BadInput, match="integration/r1 exists already"):
        create_branch(git, "integration/r1", repo.head)


def test_a_branch_below_or_beside_another_is_refused_by_name(repo: Repository) -> None:
    repo.git("branch", "integration")
    with pytest.raises(BadInput, match="git allows none below the branch integration"):
        create_branch(Git(repo.path), "integration/r1", repo.head)
    repo.git("branch", "other/r1/x")
    with pytest.raises(BadInput, match="git allows none beside the branch other/r1/x"):
        create_branch(Git(repo.path), "other/r1", repo.head)
    with pytest.raises(BadInput, match="not a name git accepts"):
        create_branch(Git(repo.path), "bad..name", repo.head)


def test_a_branch_advances_only_from_where_it_was_expected(repo: Repository) -> None:
    git = Git(repo.path)
    repo.git("branch", "b")
    one, two = ahead(repo), ahead(repo, {"other.txt": "x"})
    assert advance(git, "b", one, repo.head)
    assert not advance(git, "b", two, repo.head)
    assert repo.git("rev-parse", "b") == one


def test_a_branch_is_not_moved_under_a_checkout(repo: Repository, tmp_path: Path) -> None:
    git = Git(repo.path)
    repo.git("branch", "b")
    place = tmp_path / "a look"
    repo.git("worktree", "add", "-q", str(place), "b")
    assert checked_out_at(git, "b") == place
    with pytest.raises(GitError, match="is checked out in"):
        advance(git, "b", ahead(repo), repo.head)
    assert repo.git("rev-parse", "b") == repo.head
    repo.git("-C", str(place), "switch", "-q", "--detach")
    assert advance(git, "b", ahead(repo), repo.head)


def test_a_worktree_whose_folder_is_gone_holds_nothing_up(repo: Repository, tmp_path: Path) -> None:
    repo.git("branch", "b")
    place = tmp_path / "gone"
    repo.git("worktree", "add", "-q", str(place), "b")
    place.rename(tmp_path / "moved away")
    assert advance(Git(repo.path), "b", ahead(repo), repo.head)


def test_the_base_is_moved_where_nobody_has_it_checked_out(repo: Repository) -> None:
    tip = ahead(repo)
    repo.git("checkout", "-q", "-b", "mine")
    assert on_base(repo, tip) == LandedOnBase(branch="main", commit=tip, moved=True)
    assert repo.git("rev-parse", "main") == tip
    assert repo.git("status", "--porcelain", "--branch") == "## mine"


def test_a_clean_checkout_of_the_base_is_fast_forwarded_with_it(repo: Repository) -> None:
    tip = ahead(repo)
    (repo.path / "untracked.txt").write_text("mine\n")
    assert check_land_on_base(Git(repo.path), "main") is None
    assert on_base(repo, tip) == LandedOnBase(branch="main", commit=tip, moved=True)
    assert repo.head == tip
    assert (repo.path / "new.txt").read_text() == "new\n"
    assert repo.git("status", "--porcelain", "--branch") == "## main\n?? untracked.txt"


def test_a_checkout_of_the_base_in_another_worktree_is_fast_forwarded(repo: Repository, tmp_path: Path) -> None:
    tip = ahead(repo)
    repo.git("checkout", "-q", "-b", "mine")
    place = tmp_path / "a second"
    repo.git("worktree", "add", "-q", str(place), "main")
    assert isinstance(on_base(repo, tip), LandedOnBase)
    assert (place / "new.txt").is_file()
    assert Repository(place).git("status", "--porcelain", "--branch") == "## main"


@pytest.mark.parametrize("staged", [False, True])
def test_a_dirty_checkout_of_the_base_is_refused_at_the_start_and_at_the_end(repo: Repository, staged: bool) -> None:
    tip, before = ahead(repo), repo.head
    (repo.path / "README.md").write_text("my edit\n")
    if staged:
        repo.git("add", "README.md")
    refused = check_land_on_base(Git(repo.path), "main")
    assert refused is not None
    assert "uncommitted changes" in refused.reason
    late = on_base(repo, tip)
    assert isinstance(late, Refused)
    assert "the integration branch holds everything" in late.reason
    assert repo.head == before
    assert (repo.path / "README.md").read_text() == "my edit\n"


@pytest.mark.parametrize("ignored", [False, True])
def test_no_file_git_does_not_track_is_overwritten(repo: Repository, ignored: bool) -> None:
    repo.commit({".gitignore": "new.txt\n" if ignored else "other\n"})
    repo.git("checkout", "-q", "--detach")
    repo.write({"new.txt": "landed\n"})
    repo.git("add", "-f", "new.txt")
    repo.git("commit", "-q", "-m", "track it")
    tip = repo.head
    repo.git("checkout", "-q", "main")
    (repo.path / "new.txt").write_text("precious\n")
    before = repo.head
    refused = on_base(repo, tip)
    assert isinstance(refused, Refused)
    assert "new.txt" in refused.reason
    assert (repo.path / "new.txt").read_text() == "precious\n"
    assert repo.head == before


def test_a_base_that_moved_on_is_not_overwritten(repo: Repository) -> None:
    base, tip = repo.head, ahead(repo)
    moved = repo.commit({"mine.txt": "x"})
    refused = land_on_base(Git(repo.path), "main", tip, base)
    assert isinstance(refused, Refused)
    assert "has moved since the run began" in refused.reason
    assert "the integration branch holds everything" in refused.reason
    assert repo.head == moved


def test_a_base_that_holds_everything_is_left_alone(repo: Repository) -> None:
    old = repo.head
    new = repo.commit({"x": "y"})
    assert on_base(repo, old) == LandedOnBase(branch="main", commit=new, moved=False)


def test_what_is_no_branch_is_refused(repo: Repository) -> None:
    repo.git("tag", "v1")
    refused = check_land_on_base(Git(repo.path), "v1")
    assert refused is not None
    assert "not a local branch" in refused.reason
    gone = on_base(repo, repo.head, "gone")
    assert isinstance(gone, Refused)
    assert "does not exist any more" in gone.reason


def test_the_users_hooks_do_not_run(repo: Repository) -> None:
    hook = repo.path / ".git/hooks/post-merge"
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)
    assert isinstance(on_base(repo, ahead(repo)), LandedOnBase)
    assert not (repo.path / "hooked").exists()
