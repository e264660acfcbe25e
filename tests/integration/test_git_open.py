"""A repository is opened by one process, which tells its top and its git directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.repository import make_repository
from maestro.vcs.git import Git, open_repository


@pytest.mark.parametrize("name", ["plain", "with blank", "ümlaut", "line\nend", "end\n"])
def test_top_and_git_directory_are_right(name: str, tmp_path: Path) -> None:
    repo = make_repository(tmp_path / name, {"folder/file": "x"})
    git = open_repository(repo.path / "folder")
    assert git.directory == repo.path
    assert git.common_dir() == repo.path / ".git"


def test_worktrees_share_the_git_directory(tmp_path: Path) -> None:
    repo = make_repository(tmp_path / "repo")
    repo.git("worktree", "add", "-q", str(tmp_path / "there"))
    git = open_repository(tmp_path / "there")
    assert (git.directory, git.common_dir()) == (tmp_path / "there", repo.path / ".git")


def test_it_is_asked_once_for_all_doors_to_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, other = make_repository(tmp_path / "repo"), make_repository(tmp_path / "other")
    calls: list[tuple[str, ...]] = []
    real = Git._call

    def call(self: Git, args: tuple[str, ...], *more: object) -> object:
        calls.append(args)
        return real(self, args, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Git, "_call", call)
    git = open_repository(repo.path)
    assert git.at(repo.path, config={"core.bare": "false"}).common_dir() == repo.path / ".git"
    assert len(calls) == 1
    assert git.at(other.path).common_dir() == other.path / ".git"
    assert git.at(repo.path, git_dir=other.path / ".git").common_dir() == other.path / ".git"
