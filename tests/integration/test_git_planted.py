"""git follows what an agent may have left in a git directory; maestro's does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.testing.repository import Repository
from maestro.vcs.git import Git
from maestro.vcs.planted import remove_links, remove_symbolic

OURS = "refs/heads/maestro/r/a"


@pytest.fixture
def planted(repo: Repository) -> Path:
    """A branch of ours that stands for one of the user's."""
    repo.commit({"a.txt": "a"})
    repo.git("branch", "precious")
    repo.git("symbolic-ref", OURS, "refs/heads/precious")
    return repo.path / ".git" / OURS


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("update-ref", "-d", OURS), None),
        (("update-ref", "--stdin"), f"delete {OURS}\n"),
        (("update-ref", "--stdin", "-z"), f"delete {OURS}\0\0"),
    ],
)
def test_a_branch_of_ours_goes_without_the_one_it_stands_for(
    repo: Repository, planted: Path, args: tuple[str, ...], stdin: str | None
) -> None:
    Git(repo.path).run(*args, stdin=stdin.encode() if stdin else None)
    assert not planted.exists()
    assert repo.git("rev-parse", "precious") == repo.git("rev-parse", "HEAD")


def test_a_branch_of_ours_is_moved_alone(repo: Repository, planted: Path) -> None:
    old = repo.git("rev-parse", "precious")
    new = repo.commit({"a.txt": "b"})
    Git(repo.path).run("update-ref", OURS, new)
    assert (planted.read_text().strip(), repo.git("rev-parse", "precious")) == (new, old)


def test_branches_of_the_users_may_stand_for_others(repo: Repository) -> None:
    repo.commit({"a.txt": "a"})
    repo.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    new = repo.git("commit-tree", "-m", "next", "HEAD^{tree}")
    Git(repo.path).run("update-ref", "refs/heads/alias", new)
    assert repo.git("rev-parse", "main") == new


def test_links_and_what_stands_for_others_are_removed_and_nothing_else(
    repo: Repository, planted: Path, tmp_path: Path
) -> None:
    git_dir = repo.path / ".git"
    links = [git_dir / name for name in ("COMMIT_EDITMSG", "logs/refs/x", "folder")]
    for link in links:
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path)
    before = {path for path in git_dir.rglob("*") if path not in links and path != planted}
    remove_links(git_dir)
    remove_symbolic(git_dir, "maestro/r/a")
    remove_symbolic(git_dir, "main")
    remove_symbolic(git_dir, "no-such")
    assert set(git_dir.rglob("*")) == before
