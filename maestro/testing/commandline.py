"""Runs the real command line in a child process and keeps what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Said:
    """One ended call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object it must be."""
        return json.loads(self.out)

    def statuses(self) -> dict[str, str]:
        """Task → status, of a run's result."""
        return {task: entry["status"] for task, entry in self.json["tasks"].items()}


def command_line(*args: str) -> list[str]:
    """`maestro args`, by the interpreter that runs the tests."""
    return [sys.executable, "-m", "maestro", *args]


def maestro(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None, timeout_seconds: float = 90
) -> Said:
    """Run `maestro args` to its end."""
    done = subprocess.run(
        command_line(*args),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
