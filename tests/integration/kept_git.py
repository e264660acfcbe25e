"""What tests of the processes of git that a run keeps have in common; see also `calls` and `clock` in conftest.py."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def offspring() -> dict[int, list[bytes]]:
    """The children of this process, and their command lines. Not by thread: one that ends leaves its own to others."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - the names are enough
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            if int(state[1]) == os.getpid():
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return found


def children(command: str) -> list[int]:
    """The `git COMMAND --stdin…` that this process has."""
    return [pid for pid, said in offspring().items() if command.encode() in said and b"--stdin" in b" ".join(said)]


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def fake(folder: Path, script: str) -> dict[str, str]:
    """An environment whose git is a script for `--stdin`, and the real one otherwise."""
    folder.mkdir()
    path = os.environ["PATH"]
    program = folder / "git"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--stdin*) {script};; esac\nPATH={path} exec git "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{path}"}
