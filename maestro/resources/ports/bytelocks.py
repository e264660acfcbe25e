"""Locks on single bytes of a file that the kernel frees with their holder (fcntl(2), open file description locks).

The locks belong to the open file, not to the process: two threads keep each other out as two processes do, and what
is held goes when the last descriptor of that open file is closed, whatever ended its process. Taking one is one call
that waits for nobody; nothing is asked again and again, and no age is looked at.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Collection, Iterable
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # l_type, l_whence, l_start, l_len, l_pid, which must be 0


class ByteLocks:
    """One open file and the bytes of it that are held. OSError from any method where the disk says no."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = self._open()

    def take(self, offsets: Collection[int]) -> bool:
        """Hold all of these bytes, or none where somebody else holds one. Those held before stay."""
        while True:
            taken: list[int] = []
            for offset in offsets:
                if not self._set(fcntl.F_WRLCK, offset):
                    self.free(taken)
                    return False
                taken.append(offset)
            if self._is_the_file():
                return True
            os.close(self._fd)  # somebody has put another file in its place: locks on this one keep nobody out
            self._fd = self._open()

    def free(self, offsets: Iterable[int]) -> None:
        """Let go at once, also where a child that was just forked still has the descriptor."""
        for offset in offsets:
            self._set(fcntl.F_UNLCK, offset)

    def close(self) -> None:
        """Let go of everything."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _set(self, kind: int, offset: int) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, offset, 1, 0))
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as POSIX leaves it
            return False
        return True

    def _is_the_file(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat(follow_symlinks=False))
        except FileNotFoundError:
            return False


def held_bytes(path: Path, offsets: Iterable[int]) -> set[int]:
    """Those that anybody holds now. Takes no lock, so nobody is refused because of a look; a missing file has none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return set()
    try:
        return {offset for offset in offsets if _is_held(fd, offset)}
    finally:
        os.close(fd)


def _is_held(fd: int, offset: int) -> bool:
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
    kind: int = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0]
    return kind != fcntl.F_UNLCK
