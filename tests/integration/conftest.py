"""Fixtures for tests of the processes of git that a run keeps."""

from __future__ import annotations

import pytest

from maestro.vcs import kept
from maestro.vcs.git import Git


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The processes that `Git` started for one command each."""
    seen: list[str] = []
    real = Git._call

    def counted(self: Git, args: tuple[str, ...], *rest: object) -> object:
        seen.append(args[0])
        return real(self, args, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Git, "_call", counted)
    return seen


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The second that it is for processes that are kept, which is a new one only where a test says so."""
    now = [1]
    monkeypatch.setattr(kept, "_second", lambda: now[0])
    return now
