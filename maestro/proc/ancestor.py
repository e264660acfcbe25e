"""Finds the Claude Code session that a command was started from, among its ancestors."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import PurePath

from maestro.proc.family import ProcessId, command_line, identify

_NAME = "claude"
_SCRIPTS = ("/claude-code/cli.js", "/claude-code/cli.mjs")


def session_of(pid: int) -> ProcessId | None:
    """The nearest ancestor of the process that is Claude Code; None where there is none."""
    seen: set[int] = set()
    while (pid := _parent(pid)) > 1 and pid not in seen:
        seen.add(pid)
        if _is_claude(pid):
            return identify(pid)
    return None


def _is_claude(pid: int) -> bool:
    """By what was started: the program, or the script that node runs. A shell whose command line only speaks of
    claude is not one."""
    words = [os.fsdecode(word) for word in command_line(pid).split(b"\0")[:2]]
    names = [PurePath(word).name for word in words]
    with suppress(OSError):
        names.append(PurePath(os.readlink(f"/proc/{pid}/exe")).name)  # noqa: PTH115 - no Path is wanted
    return _NAME in names or any(word.endswith(_SCRIPTS) for word in words)


def _parent(pid: int) -> int:
    """0 where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
