"""Runs a command and fails when it leaves processes behind: `python without_leftovers.py COMMAND…`.

Orphans are inherited here (PR_SET_CHILD_SUBREAPER), so one that left its process group, its session or its
environment is found all the same. They are named, killed, and turn exit code 0 into 1.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 3.0


def children() -> list[int]:
    """Live children of this process, adopted ones included."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found]


def reap() -> None:
    """Collect every child that has ended."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def leftovers() -> list[int]:
    """Children that are still there when a process that is just ending has had time to."""
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        reap()
        left = children()
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def kill_all() -> None:
    """Kill adopted processes, and theirs as they are adopted in turn."""
    while left := children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
        reap()


def main(command: list[str]) -> int:
    """Exit code of the command; 1 instead of 0 when it left something."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("without_leftovers: this kernel does not let a process adopt orphans")
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    left = leftovers()
    for pid in left:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        print(f"left behind: {pid} {line}", file=sys.stderr)
    kill_all()
    return code or (1 if left else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
