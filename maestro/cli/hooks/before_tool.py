"""PreToolUse, the file guard: a subagent with a task writes in its workspace only, and as long as it is its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maestro.cli.hooks.fileguard import Fence, refuse_write
from maestro.cli.hooks.marks import mark_of_subagent
from maestro.cli.hooks.place import attempt_of, find_place

OVER = (
    "maestro: your attempt at this task is over, and what you do now is not used: the workspace may be another "
    "attempt's. Do nothing more; end with a sentence that says so"
)


def answer(payload: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any] | None:
    """A denial with the path to use instead, or None."""
    if not payload.get("agent_id"):
        return None  # the session itself, which nobody fences in
    place = find_place(payload, environ)
    mark = mark_of_subagent(payload) if place else None
    working = attempt_of(place, mark) if place and mark else None
    if place is None or working is None:
        return None
    if working.is_over:
        return _deny(OVER)
    fence = Fence(_real(working.workspace), _real(place.layout.repository), _real)
    why = _refusal(payload, fence)
    return None if why is None else _deny(why)


def _deny(why: str) -> dict[str, Any]:
    decision = {"permissionDecision": "deny", "permissionDecisionReason": why}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **decision}}


def _refusal(payload: Mapping[str, Any], fence: Fence) -> str | None:
    given = payload.get("tool_input")
    given = given if isinstance(given, Mapping) else {}
    cwd = _real(Path(str(payload.get("cwd") or "/")))
    if payload.get("tool_name") == "Bash":
        from maestro.cli.hooks.shellguard import refuse_command

        return refuse_command(str(given.get("command") or ""), cwd, fence)
    named = given.get("file_path") or given.get("notebook_path")
    return refuse_write(cwd / str(named), fence) if named else None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path.expanduser()))
