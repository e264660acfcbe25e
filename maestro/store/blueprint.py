"""What a run was told to do, kept beside its journal from before its first event: `maestro resume` goes on by it (E-6).

The journal says what happened; it does not hold the texts of the tasks, nor the settings. Both may have changed in the
meantime, and a run goes on as it began. Settings that may hold secrets are not kept: options of adapters and MCP
servers are read from the configuration again.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from pydantic import Field, ValidationError

from maestro.config.settings import Settings
from maestro.errors import StateError
from maestro.model.plan import Plan
from maestro.model.record import Record
from maestro.store.atomic import write_atomically

VERSION = 1
NOT_KEPT = frozenset({"agents", "key_pools", "mcp_servers"})
"""Settings with values of which maestro knows nothing: there may be a key among them."""


class Blueprint(Record):
    """All that is needed to go on with a run, beside its journal and its branches."""

    version: int = VERSION
    run_id: str
    token: str  # in the markers of its processes, see engine/context.py
    settings: Settings
    plan: Plan
    base: str  # commit id
    base_branch: str
    root: Path  # holds the workspaces of the run
    tracker_kind: str
    tracker_identity: str
    standard_input: str | None = None  # a list of todos is nowhere else
    done_before: dict[str, str | None] = Field(default_factory=dict)  # task → its commit, where it is known


def write_blueprint(path: Path, blueprint: Blueprint) -> None:
    """Write it, readable by the user alone; StateError when that cannot be done."""
    values = blueprint.model_dump(exclude={"settings"})
    values["settings"] = blueprint.settings.model_dump(by_alias=True, exclude=set(NOT_KEPT))
    write_atomically(path, json.dumps(values, default=_plain).encode() + b"\n", mode=0o600)


def read_blueprint(path: Path) -> Blueprint:
    """Read it; StateError where it is missing, damaged or of another version."""
    try:
        values = json.loads(path.read_bytes())
        version = values.get("version") if isinstance(values, dict) else None
    except FileNotFoundError as error:
        raise StateError(
            f"{path} is not there: the run was begun by an older maestro, or never begun",
            hint="start a new run; what has landed is not done again",
        ) from error
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read: {error}", hint=_ANEW) from error
    if version != VERSION:
        raise StateError(
            f"{path} is of version {version}, this maestro reads version {VERSION}",
            hint="use the maestro that wrote it, or start a new run",
        )
    try:
        return Blueprint.model_validate(values)
    except ValidationError as error:
        raise StateError(f"{path} is damaged: {error.errors()[0]['msg']}", hint=_ANEW) from error


_ANEW = "start a new run; what has landed is not done again"


def _plain(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a blueprint")
