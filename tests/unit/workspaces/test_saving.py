"""Saved refs are never overwritten by what does not contain them."""

from __future__ import annotations

import pytest

from maestro.errors import WorkspaceError
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


def test_a_lock_that_was_left_behind_costs_a_name(repo: Repository) -> None:
    git = open_repository(repo.path)
    lock = repo.path / ".git" / "refs" / "maestro" / "saved" / "r" / "t.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()

    assert save_commit(git, "r", "t", repo.head) == "refs/maestro/saved/r/t-2"


def test_where_no_name_will_do_not_all_are_tried(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: each try costs a process."""
    git = open_repository(repo.path)
    tried: list[str] = []
    (repo.path / ".git" / "refs" / "maestro").write_text("in the way")
    set_ref = git.set_ref

    def counted(ref: str, new: str, expected: str | None) -> bool:
        tried.append(ref)
        return set_ref(ref, new, expected)

    monkeypatch.setattr(git, "set_ref", counted)

    with pytest.raises(WorkspaceError, match="could not be saved"):
        save_commit(git, "r", "t", repo.head)

    assert tried == [f"refs/maestro/saved/r/t{number}" for number in ("", "-2", "-3")]
