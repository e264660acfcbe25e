"""What tests of the processes of git that a run keeps have in common; see also `calls` and `clock` in conftest.py."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def offspring() -> dict[int, list[bytes]]:
    """The children of this process, and their command lines."""
    looks: list[list[int]] = []
    while len(looks) < 2 or looks[-1] != looks[-2]:  # a thread that ends at this moment leaves its own to others
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lists = [(thread / "children").read_text() for thread in Path("/proc/self/task").iterdir()]
            looks.append(sorted(int(pid) for pid in " ".join(lists).split()))
    return {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in looks[-1]}


def children(command: str) -> list[int]:
    """The `git COMMAND --stdin…` that this process has."""
    return [pid for pid, said in offspring().items() if command.encode() in said and b"--stdin" in b" ".join(said)]


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def fake(folder: Path, script: str, command: str = "--stdin") -> dict[str, str]:
    """An environment whose git is a script for what it is called with, and the real one otherwise."""
    folder.mkdir()
    path = os.environ["PATH"]
    program = folder / "git"
    program.write_text(f'#!/bin/sh\ncase "$*" in *{command}*) {script};; esac\nPATH={path} exec git "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{path}"}
