"""Git 2.39 cannot list the worktrees while one is being added: the door to it looks again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from maestro.errors import GitError
from maestro.testing.repository import Repository, make_repository
from maestro.vcs.git import Git

LISTINGS = (("for-each-ref", "--format=%(worktreepath)", "refs/heads/main"), ("worktree", "list", "--porcelain"))


@pytest.fixture
def half_made(tmp_path: Path) -> tuple[Repository, Path]:
    """A repository with a worktree whose `commondir` is still empty, as git itself leaves it for a moment."""
    repository = make_repository(tmp_path / "repo")
    repository.git("worktree", "add", "-q", str(tmp_path / "half"))
    commondir = repository.path / ".git/worktrees/half/commondir"
    commondir.write_text("")
    return repository, commondir


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda words: words[0])
def test_looks_again_where_a_worktree_is_half_made(
    half_made: tuple[Repository, Path], tmp_path: Path, listing: tuple[str, ...]
) -> None:
    repository, commondir = half_made
    tool = tmp_path / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\n{shutil.which("git")} "$@"; code=$?\necho ../.. > {commondir}\nexit $code\n')
    tool.chmod(0o755)
    git = Git(repository.path, env={**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"})
    assert str(repository.path) in git.text(*listing)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda words: words[0])
def test_gives_up_on_one_that_stays_half_made(half_made: tuple[Repository, Path], listing: tuple[str, ...]) -> None:
    repository, _ = half_made
    with pytest.raises(GitError, match="commondir"):
        Git(repository.path).text(*listing)
