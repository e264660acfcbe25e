"""Paths in a git index, read without a process (gitformat-index(5), version 2).

After the header (signature, version, number of entries; 12 bytes) each entry has 40 bytes of stat data (first the
second and the nanosecond of its ctime, at 20 the inode, at 24 the mode), then the object id, 2 bytes of flags, and the
path, filled up with 1 to 8 NULs to a multiple of 8.

Two fresh checkouts of a commit differ in the times, devices and inodes alone, the first 24 bytes of each entry.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_HEADER, _OWN, _STAT, _FLAGS = 12, 24, 40, 2
_ASSUMED = 0x80  # to be unchanged: the first bit of the flags, set on all by core.ignoreStat
_MODE = 26  # of its four bytes the first two are nought; the next one begins with the type
_BORN = struct.Struct(">LL12xL")  # second, nanosecond, inode
_TYPES = (0x80, 0xA0)  # a file, a symbolic link; not a sparse directory (0x40), not a submodule (0xE0)
_SPLIT = b"link"  # the extension, always the first one, of an index whose files stand in another one

Young = Mapping[bytes, tuple[int, int]]
"""Files and links from the second in which the index was written: git, which compares whole seconds, would miss what
is done to them in the same one. (inode, nanosecond of the ctime); the inode as the index has it, its lower 32 bits."""


LOWER_BITS = 0xFFFFFFFF
"""Of an inode, as an index has it."""


def born(about: os.stat_result) -> tuple[int, int]:
    """The same of a file."""
    return about.st_ino & LOWER_BITS, about.st_ctime_ns


@dataclass(frozen=True)
class IndexPaths:
    """What is tracked; paths are as git has them."""

    files: Sequence[bytes]  # in the order of the index
    young: Young
    own: Sequence[slice]  # where in the index the stat data of the files stands …
    common: Sequence[slice]  # … and where what all checkouts of the commit have in common …
    shared: bytes  # … and what that is


def read_index(path: Path, id_size: int, like: IndexPaths | None = None) -> IndexPaths | None:
    """None for an index that holds anything but plain files and links that git looks at, or is of another version.

    `id_size`: bytes of an object id (20 or 32). `like` is one read before, perhaps of the same commit: then this one is
    only compared with it. OSError where it cannot be read.
    """
    raw = path.read_bytes()
    written = path.stat().st_mtime_ns // 1_000_000_000 & 0xFFFFFFFF  # a float may be of the next second
    if like is not None and _pieces(raw, like.common) == like.shared and not _is_split(raw, like.common[-1].stop):
        return replace(like, young=_young(raw, like.files, like.own, written))
    if raw[:8] != b"DIRC\0\0\0\2":
        return None
    fixed = _STAT + id_size + _FLAGS
    files: list[bytes] = []
    own: list[slice] = []
    common = [slice(0, _HEADER)]
    position = _HEADER
    for _ in range(int.from_bytes(raw[8:12], "big")):
        end = raw.index(b"\0", position + fixed)
        if raw[position + _MODE] & 0xF0 not in _TYPES:
            return None
        if raw[position + _STAT + id_size] & _ASSUMED:
            return None  # git never looks at the file
        following = position + ((end - position + 8) & ~7)
        files.append(raw[position + fixed : end])
        own.append(slice(position, position + _OWN))
        common.append(slice(position + _OWN, following))
        position = following
    if _is_split(raw, position):
        return None
    return IndexPaths(files, _young(raw, files, own, written), own, common, _pieces(raw, common))


def count_of(path: Path) -> int:
    """How many entries an index has. OSError where it cannot be read."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(_HEADER)[8:_HEADER], "big")


def _is_split(raw: bytes, end: int) -> bool:
    return raw[end : end + len(_SPLIT)] == _SPLIT


def _pieces(raw: bytes, places: Iterable[slice]) -> bytes:
    return b"".join(map(raw.__getitem__, places))


def _young(raw: bytes, files: Iterable[bytes], own: Iterable[slice], written: int) -> Young:
    return {
        name: (inode, second * 1_000_000_000 + nanosecond)
        for name, (second, nanosecond, inode) in zip(files, _BORN.iter_unpack(_pieces(raw, own)), strict=True)
        if second >= written
    }
