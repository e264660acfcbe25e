"""`make test` names each real component it could not try and why; with CI=true that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
import pytest

@pytest.fixture
def engine():
    pytest.skip("not found on PATH (get it with `fetch engine`)")

@pytest.mark.real("engine")
def test_with_the_engine(engine):
    assert engine

@pytest.mark.real("interpreter")
def test_with_what_is_there():
    assert True
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A project whose tests use this project's conftest."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text(Path(__file__).parent.parent.joinpath("conftest.py").read_text())
    (tests / "test_components.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real(component): as here\n")
    return tmp_path


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_a_missing_component_is_named_and_fails_only_ci(suite: Path, workers: str, ci: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", workers, "tests"],
        cwd=suite,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Real components tried: interpreter\n" in done.stdout
    assert "Real components not tried:\n  engine: not found on PATH (get it with `fetch engine`)\n" in done.stdout
