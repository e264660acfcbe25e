"""How the C library shares out memory to threads."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h


def use_one_arena() -> None:
    """Let all threads of this process take memory from the same place; a C library that knows no arenas is left alone.

    glibc gives each thread a place of its own, which keeps what is freed in it: with a dozen threads, a run of a
    thousand tasks holds some 7 MiB more (`benchmarks/soak.py`). It is meant to spare threads the waiting for each
    other, and ours wait for the interpreter's lock anyway. To be called before the threads are started.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
