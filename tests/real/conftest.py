"""Real components: a missing one is named and skipped, and fails where CI=true."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

HOW_TO_GET = {"claude": "npm install -g @anthropic-ai/claude-code"}


def require(component: str) -> Path:
    """The executable of a component, from PATH or $MAESTRO_TEST_TOOLS/bin; skips the test without it, or fails it."""
    path = os.environ.get("PATH", os.defpath)
    if tools := os.environ.get("MAESTRO_TEST_TOOLS"):
        path = f"{tools}/bin{os.pathsep}{path}"
    found = shutil.which(component, path=path)
    if found:
        return Path(found)
    said = f"{component} is not installed" + (f" ({HOW_TO_GET[component]})" if component in HOW_TO_GET else "")
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{said}, and CI does without no real component")
    pytest.skip(said)


@pytest.fixture(autouse=True)
def real(request: pytest.FixtureRequest, hermetic: Path) -> dict[str, Path]:
    """The executables that the test's `real` markers name, by component."""
    return {name: require(name) for marker in request.node.iter_markers("real") for name in marker.args}
