"""One place for the memory of all threads."""

from __future__ import annotations

import subprocess
import sys

# each thread takes more at once than the allocator of Python serves itself, so that glibc's has to
PROGRAM = """
import ctypes, sys, threading
from pathlib import Path
from maestro.proc.arenas import use_one_arena
if sys.argv[1] == "one":
    use_one_arena()
together = threading.Barrier(9)
def take():
    kept = [bytes(5000) for _ in range(100)]
    together.wait()
    together.wait()
for _ in range(8):
    threading.Thread(target=take).start()
together.wait()
print(sum("---p" in line for line in Path("/proc/self/maps").read_text().splitlines()))
together.wait()
"""


def reserved(how: str) -> int:
    """Address ranges that are reserved and not yet used: one for each thread's stack guard, one for each arena."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_threads_get_no_arenas_of_their_own() -> None:
    assert reserved("one") <= reserved("many") - 4
