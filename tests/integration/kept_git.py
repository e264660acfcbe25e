"""What tests of the processes of git that a run keeps have in common; see also `calls` and `clock` in conftest.py."""

from __future__ import annotations

import os
from pathlib import Path


def children(command: str) -> list[int]:
    """The `git COMMAND --stdin…` that this process has."""
    pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    words = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids}
    return [pid for pid, said in words.items() if command.encode() in said and b"--stdin" in b" ".join(said)]


def ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


def fake(folder: Path, script: str) -> dict[str, str]:
    """An environment whose git is a script for `--stdin`, and the real one otherwise."""
    folder.mkdir()
    path = os.environ["PATH"]
    program = folder / "git"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--stdin*) {script};; esac\nPATH={path} exec git "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{path}"}
