"""Saved refs are never overwritten by what does not contain them."""

from __future__ import annotations

from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.workspaces.saving import save_commit, saved_refs, unlanded


def test_numbers_are_counted_up_and_refs_move_only_forward(repo: Repository) -> None:
    git, base = open_repository(repo.path), repo.head
    one = repo.commit({"a": "1"})
    two = repo.commit({"a": "2"})
    repo.git("checkout", "-q", "--detach", base)
    other = repo.commit({"b": "1"})
    assert save_commit(git, "r", "t", one) == "refs/maestro/saved/r/t"
    assert save_commit(git, "r", "t", two) == "refs/maestro/saved/r/t"  # contains it
    assert save_commit(git, "r", "t", one) == "refs/maestro/saved/r/t"  # is contained
    assert save_commit(git, "r", "t", other) == "refs/maestro/saved/r/t-2"
    assert save_commit(git, "r", "t", other) == "refs/maestro/saved/r/t-2"
    assert saved_refs(git, "r") == {"refs/maestro/saved/r/t": two, "refs/maestro/saved/r/t-2": other}
    assert saved_refs(git, "x") == {}
    assert set(unlanded(git, [base, one, two, other, one], base)) == {two, other}
    assert unlanded(git, [base], base) == []
