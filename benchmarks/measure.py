"""Runs one command and writes what it cost as JSON: `python measure.py RESULT COMMAND…`.

Wall time is that of the command itself. CPU is user plus system of the command and of every process below it, those
that were orphaned included: this process adopts them (PR_SET_CHILD_SUBREAPER), and the kernel adds a child's figures
to its parent's when it is waited for (RUSAGE_CHILDREN). One process per measurement, so nothing is left over from
the one before.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
ORPHANS_SECONDS = 10.0


def wait_for_orphans() -> int:
    """Reap adopted processes; how many were still running when patience ended."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if pid == 0:
            time.sleep(0.01)
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def main(result: Path, command: list[str]) -> None:
    """Measure; the exit code of the command is in the result, its output goes where this one's goes."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    wall_seconds = time.monotonic() - start
    still_running = wait_for_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "code": code,
        "wall_seconds": wall_seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "still_running": still_running,
    }
    result.write_text(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
