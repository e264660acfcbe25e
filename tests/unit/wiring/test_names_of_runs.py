"""The name of a run is taken by its journal, and then by its branch: the refusal says which (E-8)."""

from __future__ import annotations

import pytest

from maestro.errors import BadInput
from maestro.store.layout import Layout
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.wiring.preparing import _check_branch


def test_a_branch_that_a_run_of_this_name_has_made_is_that_runs(repo: Repository) -> None:
    repo.git("branch", "integration/bg")
    git = open_repository(repo.path)
    with pytest.raises(BadInput, match="branch integration/bg exists already"):
        _check_branch(git, "integration/bg", "bg")
    journal = Layout(repo.path).journal("bg")
    journal.parent.mkdir(parents=True)
    journal.touch()
    with pytest.raises(BadInput, match="there is a run bg already"):
        _check_branch(git, "integration/bg", "bg")


def test_a_free_name_is_no_matter(repo: Repository) -> None:
    _check_branch(open_repository(repo.path), "integration/bg", "bg")
    assert not Layout(repo.path).runs.exists()
