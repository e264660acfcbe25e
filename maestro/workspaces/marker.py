"""The file that says that a folder is a workspace of maestro: nothing without it is ever removed."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from maestro.errors import WorkspaceError
from maestro.model.record import Record
from maestro.store.layout import Layout
from maestro.workspaces.anew import SUFFIX, write_anew

MARKER_FILE = ".maestro-workspace.json"
_HALF = MARKER_FILE + SUFFIX


class Marker(Record):
    """What is needed to find a workspace again after its coordinator is gone. Paths are written by `encode_path`."""

    format: int = 1
    kind: str
    run_id: str
    task_id: str
    task_name: str
    attempt: int
    base: str
    branch: str
    common_dir: str  # git directory of the user's repository
    repo: str  # absolute path of the workspace's repository
    parked: bool = False  # nobody's work is in it any more: kept to be handed out again
    user_branch: str | None = None  # kind `none`: what HEAD pointed at before
    user_commit: str | None = None


def encode_path(path: Path) -> str:
    """A path as text that JSON can hold, whatever its bytes."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"hex:{raw.hex()}"


def decode_path(text: str) -> Path:
    """The way back from `encode_path`."""
    return Path(os.fsdecode(bytes.fromhex(text[4:]))) if text.startswith("hex:") else Path(text)


def write_marker(home: Path, marker: Marker) -> None:
    """Write it into `home`, which is made where it is missing; a reader meets all of it or nothing."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_anew(f"{home}/{MARKER_FILE}", marker.model_dump_json(indent=1).encode() + b"\n")


def is_empty(home: Path) -> bool:
    """Whether nothing is there, or no more than a marker that was not written to its end."""
    return not home.exists() or all(entry.name == _HALF for entry in home.iterdir())


def layout_of_workspace(directory: Path) -> Layout | None:
    """Where the run is kept whose workspace holds the directory; None outside of one, or where it cannot be found."""
    marker = marker_above(directory)
    if marker is None:
        return None
    layout = Layout(decode_path(marker.common_dir).parent)
    return layout if layout.run(marker.run_id).is_dir() else None


def variables_of_workspace(directory: Path) -> dict[str, str]:
    """Whose workspace holds the directory, as the variables that an agent has of itself; empty outside of one."""
    marker = marker_above(directory)
    return {} if marker is None else {"MAESTRO_RUN_ID": marker.run_id, "MAESTRO_TASK_ID": marker.task_id}


def marker_above(directory: Path) -> Marker | None:
    """That of the workspace that holds the directory; WorkspaceError where one cannot be read."""
    return next(filter(None, map(read_marker, (directory, *directory.parents))), None)


def read_marker(home: Path) -> Marker | None:
    """The marker of a workspace, None where the folder is not one; WorkspaceError where it cannot be read."""
    try:
        return Marker.model_validate_json((home / MARKER_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise WorkspaceError(
            f"{home / MARKER_FILE} cannot be read", hint="look into the folder and remove it by hand"
        ) from error
