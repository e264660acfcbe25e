"""What makes a gate of the settings (M-4, I-7)."""

from __future__ import annotations

import pytest

from maestro.config.settings import Settings
from maestro.errors import BadInput
from maestro.testing.repository import Repository
from maestro.vcs.git import open_repository
from maestro.wiring.choices import make_gate


@pytest.mark.parametrize(
    "command",
    [
        "maestro lock tests -- pytest",
        "cd x && maestro -C . lock --limit=60 tests -- make",
        "python -m maestro lock tests -- x",
    ],
)
def test_a_gate_would_wait_for_itself(repo: Repository, command: str) -> None:
    with pytest.raises(BadInput, match="takes the resource tests, which maestro holds already"):
        make_gate(open_repository(repo.path), Settings(test_command=command))


@pytest.mark.parametrize(
    "command",
    ["maestro lock docker -- pytest", "maestro lock tests-db -- x", "pytest tests", "maestro status; lock tests"],
)
def test_other_locks_and_tests_are_fine(repo: Repository, command: str) -> None:
    gate = make_gate(open_repository(repo.path), Settings(test_command=command))
    assert gate is not None
    assert gate.command == command
