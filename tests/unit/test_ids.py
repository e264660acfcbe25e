"""Names for paths and branches: safe, readable, never the same for two ids."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.model.ids import safe_name, safe_names

AWKWARD = ["a/b c:d", "..", "-x", "x" * 200, ".", "a..b", "a.lock", "é", "a\nb", "a__b", "@{", "~", "a b", "CON", "a."]


@pytest.mark.parametrize("identifier", AWKWARD)
def test_every_name_is_a_legal_branch_and_one_path_component(identifier: str) -> None:
    name = safe_name(identifier)
    assert "/" not in name
    assert name not in {".", ".."}
    assert len(name) <= 60
    checked = subprocess.run(["git", "check-ref-format", f"refs/heads/maestro/run/{name}"])
    assert checked.returncode == 0


@given(st.lists(st.text(min_size=1), unique=True))
def test_no_two_ids_share_a_name_even_where_case_does_not_count(identifiers: list[str]) -> None:
    names = safe_names(identifiers)
    assert len({name.casefold() for name in names.values()}) == len(identifiers)


def test_ordinary_ids_stay_readable() -> None:
    assert safe_names(["T001", "1.2", "auth-flow"]) == {"T001": "T001", "1.2": "1.2", "auth-flow": "auth-flow"}


def test_ids_that_differ_only_in_case_are_told_apart() -> None:
    names = safe_names(["task", "Task"])
    assert names["task"].casefold() != names["Task"].casefold()
