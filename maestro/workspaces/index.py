"""Paths in a git index, read without a process (gitformat-index(5), version 2).

After the header (signature, version, number of entries; 12 bytes) each entry has 40 bytes of stat data (first the
second and the nanosecond of its ctime, at 20 the inode, at 24 the mode), then the object id, 2 bytes of flags, and the
path, filled up with 1 to 8 NULs to a multiple of 8.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HEADER, _STAT, _FLAGS = 12, 40, 2
_ASSUMED = 0x80  # to be unchanged: the first bit of the flags, set on all by core.ignoreStat
_MODE = 26  # of its four bytes the first two are nought; the next one begins with the type
_BORN = struct.Struct(">LL12xL")  # second, nanosecond, inode
_TYPES = (0x80, 0xA0)  # a file, a symbolic link; not a sparse directory (0x40), not a submodule (0xE0)

Young = Mapping[bytes, tuple[int, int]]
"""Files and links from the second in which the index was written: git, which compares whole seconds, would miss what
is done to them in the same one. (inode, nanosecond of the ctime); the inode as the index has it, its lower 32 bits."""


def born(about: os.stat_result) -> tuple[int, int]:
    """The same of a file."""
    return about.st_ino & 0xFFFFFFFF, about.st_ctime_ns


@dataclass(frozen=True)
class IndexPaths:
    """What is tracked; paths are as git has them."""

    files: frozenset[bytes]
    folders: frozenset[bytes]
    young: Young


def read_index(path: Path, id_size: int) -> IndexPaths | None:
    """None for an index that holds anything but plain files and links that git looks at, or is of another version.

    `id_size`: bytes of an object id (20 or 32). OSError where it cannot be read.
    """
    raw = path.read_bytes()
    written = int(path.stat().st_mtime).to_bytes(8, "big")[4:]
    if raw[:8] != b"DIRC\0\0\0\2":
        return None
    fixed = _STAT + id_size + _FLAGS
    files: list[bytes] = []
    young = {}
    position = _HEADER
    for _ in range(int.from_bytes(raw[8:12], "big")):
        end = raw.index(b"\0", position + fixed)
        name = raw[position + fixed : end]
        if raw[position + _MODE] & 0xF0 not in _TYPES:
            return None
        if raw[position + _STAT + id_size] & _ASSUMED:
            return None  # git never looks at the file
        if raw[position : position + 4] >= written:
            second, nanosecond, inode = _BORN.unpack_from(raw, position)
            young[name] = (inode, second * 1_000_000_000 + nanosecond)
        files.append(name)
        position += (end - position + 8) & ~7
    return IndexPaths(frozenset(files), frozenset(_folders(files)), young)


def count_of(path: Path) -> int:
    """How many entries an index has. OSError where it cannot be read."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(_HEADER)[8:_HEADER], "big")


def _folders(files: list[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for name in files:
        folder = name.rpartition(b"/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition(b"/")[0]
    return found
