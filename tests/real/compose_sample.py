"""A project with a compose file of its own, which the overlay goes on top of."""

from __future__ import annotations

import shutil
from pathlib import Path

SAMPLE = Path(__file__).parent / "compose/samples/docker-compose.yml"


def make_project(folder: Path) -> Path:
    """Its compose file, in its place; nothing is ever built from the empty folders of its services."""
    file = folder / "project/infra/docker/docker-compose.yml"
    file.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, file)
    for name in ("backend", "frontend"):
        (folder / "project" / name).mkdir()
    return file
