"""Which tool of a client stands for "write this file" and "run this command".

Every CLI has tools of its own, and offers them in each request with a JSON Schema. What such a tool requires beyond the
file or the command is filled in from its schema.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from maestro.testing.wires.base import Call

Offer = Mapping[str, Mapping[str, Any]]
"""Tool → JSON Schema of its arguments."""

_SHELLS = {
    "exec_command": "cmd",  # codex
    "shell_command": "command",
    "run_shell_command": "command",  # gemini
    "bash": "command",  # opencode
    "Execute": "command",  # droid
}
_WRITERS = {
    "write_file": ("file_path", "content"),  # gemini
    "write": ("filePath", "content"),  # opencode
    "Create": ("file_path", "content"),  # droid
}


def in_words_of(call: Call, offered: Offer) -> tuple[str, dict[str, Any]]:
    """Name and arguments for this client. One that offers no tool to write files gets a shell command that does."""
    if call.tool == "write":
        for name, (path, content) in _WRITERS.items():
            if name in offered:
                given = {path: call.arguments["path"], content: call.arguments["content"]}
                return name, {**_required(offered[name]), **given}
        path, content = shlex.quote(call.arguments["path"]), shlex.quote(call.arguments["content"])
        call = Call("bash", {"command": f"mkdir -p -- \"$(dirname -- {path})\" && printf '%s' {content} > {path}"})
    if call.tool == "bash":
        for name, command in _SHELLS.items():
            if name in offered:
                return name, {**_required(offered[name]), command: call.arguments["command"]}
        return "bash", {"command": call.arguments["command"]}
    return call.tool, dict(call.arguments)


def _required(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The least that a schema takes."""
    properties = schema.get("properties") or {}
    return {name: _least(properties.get(name) or {}) for name in schema.get("required") or ()}


def _least(schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    match str(schema.get("type", "")).lower():
        case "object":
            return _required(schema)
        case "array":
            return []
        case "boolean":
            return False
        case "integer" | "number":
            return schema.get("minimum", 1)
    return "scripted"
