"""What `maestro init --zenflow` writes, made to fit the compose file that a repository has (I-3 to I-5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro.errors import StateError
from maestro.planning.compose_overlay import PLACES, collisions, fitted
from maestro.planning.task_environment import task_environment
from maestro.store.shipped import OVERLAY, TASK_TEMPLATE, TEST_SCRIPT, shipped, task_template_files


@dataclass(frozen=True)
class ZenflowFiles:
    """Place in the repository → content and mode; and what its own compose file would make tasks share."""

    files: dict[str, tuple[bytes, int]]
    compose_file: str | None
    collisions: tuple[str, ...]


def zenflow_files(repository: Path, services: dict[str, int]) -> ZenflowFiles:
    """`services`: variable of a port → first port of its range."""
    overlay = shipped(OVERLAY).read_text(encoding="utf-8")
    place = next((one for one in PLACES if (repository / one).is_file()), None)
    shared: list[str] = []
    if place:
        below = _parsed(repository / place)
        shared = collisions(below, _parsed(shipped(OVERLAY)), list(task_environment("1", services)))
        overlay = fitted(overlay, below)
    files = {f"{TASK_TEMPLATE}/{one.name}": (one.read_bytes(), 0o644) for one in task_template_files()}
    files[OVERLAY] = (overlay.encode(), 0o644)
    files[TEST_SCRIPT] = (shipped(TEST_SCRIPT).read_bytes(), 0o755)
    return ZenflowFiles(files, place, tuple(f"{place}: {one}" for one in shared))


def _parsed(path: Path) -> dict[str, Any]:
    """A compose file as it is; tags that only one version of compose knows are let be."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        said = " ".join(str(error).split())
        raise StateError(
            f"{path} cannot be read: {said[:200]}", hint="`docker compose config` says more; mend it first"
        ) from error
    return found if isinstance(found, dict) else {}
