"""Every test is hermetic: own HOME, cleared environment, pinned identity and time zone, no process left behind."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.testing.repository import IDENTITY, Repository, make_repository

KEPT = ("PATH", "TMPDIR", "CI", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "NODE_EXTRA_CA_CERTS", "MAESTRO_TEST_TOOLS")


@pytest.fixture(autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh HOME and environment; fails the test when it leaves a process or changes the environment."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    for name in list(os.environ):
        if not name.startswith(("PYTEST_", "COV_")):
            monkeypatch.delenv(name)
    mark = uuid.uuid4().hex
    ours = {
        **kept,
        **IDENTITY,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "MAESTRO_TEST_MARK": mark,
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    yield home
    left = processes_with(f"MAESTRO_TEST_MARK={mark}")
    assert not left, f"the test left processes behind: {left}"


def processes_with(variable: str) -> list[str]:
    """Command lines of other live processes whose environment holds `variable`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """A repository with one commit, in a folder of its own."""
    return make_repository(tmp_path / "project")
