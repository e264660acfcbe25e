"""Where workspaces stand: outside the repository, on the same disk where that can be had (W-2)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from maestro.errors import BadInput


def default_root(repository: Path, environ: Mapping[str, str]) -> Path:
    """The folder for all workspaces of one repository; nothing is made.

    `$XDG_STATE_HOME/maestro/workspaces/<name>-<hash>` (by default below `~/.local/state`), or, where that is on
    another disk than the repository, `.maestro-workspaces/<name>-<hash>` beside the repository.
    """
    repository = repository.resolve()
    name = f"{folder_name(repository)}-{hashlib.sha256(os.fsencode(repository)).hexdigest()[:8]}"
    state = environ.get("XDG_STATE_HOME", "")
    if not Path(state).is_absolute():
        home = environ.get("HOME", "")
        state = str(Path(home) / ".local" / "state") if Path(home).is_absolute() else ""
    beside = repository.parent / ".maestro-workspaces" / name
    if not state:
        return beside
    root = Path(state) / "maestro" / "workspaces" / name
    if on_one_disk(root, repository) or not os.access(repository.parent, os.W_OK):
        return root
    return beside


def folder_name(repository: Path) -> str:
    """Name of the repository's folder, made safe where it holds control characters or is not UTF-8."""
    name = repository.name or "repository"
    if name.isprintable():
        return name
    return "".join(letter if letter.isprintable() else "_" for letter in name)


def on_one_disk(first: Path, second: Path) -> bool:
    """Whether both are (or would be made) on the same file system."""
    return _device(first) == _device(second)


def _device(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return path.stat().st_dev


def check_root(root: Path, repository: Path, common_dir: Path) -> Path:
    """The root as an absolute path, made where it is missing; BadInput where it cannot be used."""
    root = Path(os.path.abspath(root))  # noqa: PTH100 - Path.absolute keeps `..`
    real = root.resolve()
    for inside in (repository.resolve(), common_dir.resolve()):
        if real.is_relative_to(inside):
            raise BadInput(
                f"the workspace root {root} is inside the repository",
                hint="tools that walk the repository would meet every workspace; choose a folder outside it",
            )
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".maestro-probe-{os.getpid()}"
        probe.mkdir(exist_ok=True)
        probe.rmdir()
    except OSError as error:
        raise BadInput(
            f"the workspace root {root} cannot be written: {error.strerror}",
            hint="choose another with --workspace-root",
        ) from error
    return root
