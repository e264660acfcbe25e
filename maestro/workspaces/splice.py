"""A few entries of a git index replaced, without git: it would read every tree of the commit for that, and hash them.

gitformat-index(5), version 2; see `index.py` for an entry. What follows the entries is the cache of tree ids (`TREE`),
in which the folders of what changed are made invalid, as git does it, and a checksum.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from maestro.workspaces.tracked import Tracked, parted

_HEADER = b"DIRC\0\0\0\2"
_START, _MODE, _STAT, _FLAGS = 12, 24, 40, 2
_MODES = frozenset({b"\0\0\x81\xa4", b"\0\0\x81\xed", b"\0\0\xa0\0"})  # 100644, 100755, 120000
_LONGEST = 0xFFF  # of a name whose length the flags can hold
_ORDINARY = re.compile(rb"(?i:(?!\.{1,2}(?:/|\Z)|\.?git)[\w.+@=,-]+(?:/(?!\.{1,2}(?:/|\Z)|\.?git)[\w.+@=,-]+)*)")
_SLASH = ord("/")


@dataclass(frozen=True)
class Splice:
    """Where the entries of some paths are, or would be: (start, path, end), in order; a new one has no length."""

    raw: bytes
    id_size: int
    places: Sequence[tuple[int, bytes, int]]
    end: int  # of all entries

    def with_entries(self, entries: Mapping[bytes, bytes]) -> bytes | None:
        """The index with these, and none at the other places; None where it holds something unknown."""
        pieces: list[bytes | memoryview] = []
        position, count, raw = _START, int.from_bytes(self.raw[8:_START], "big"), memoryview(self.raw)
        for start, path, end in self.places:
            entry = entries.get(path, b"")
            pieces += (raw[position:start], entry)
            position, count = end, count + bool(entry) - (end > start)
        pieces.append(raw[position : self.end])
        cache = _invalidated(self.raw[self.end : -self.id_size], {path for _, path, _ in self.places}, self.id_size)
        if cache is None:
            return None
        return _sealed((_HEADER, count.to_bytes(4, "big"), *pieces, cache), self.id_size)


def plan(raw: bytes, tracked: Tracked, id_size: int, there: Collection[bytes], new: Collection[bytes]) -> Splice | None:
    """Find the places of paths that are in the index, and of new ones; `tracked` is what is in it. None where a place
    is not certain."""
    if raw[:8] != _HEADER:
        return None
    found = {path: _locate(raw, path, id_size) for path in there}
    last = _last(tracked)
    following = {path: _next(tracked, path) for path in new}
    for path in {last, *following.values()} - {None} - found.keys():
        assert path is not None
        found[path] = _locate(raw, path, id_size)
    if last is None or None in found.values():
        return None
    sure = {path: place for path, place in found.items() if place is not None}
    end = sure[last][1]
    places = [(sure[path][0], path, sure[path][1]) for path in there]
    for path, after in following.items():
        at = end if after is None else sure[after][0]
        places.append((at, path, at))
    return Splice(raw, id_size, sorted(places), end)


def index_of(files: Mapping[bytes, tuple[int, str]], id_size: int) -> bytes | None:
    """An index of these files alone (path → mode, object id) as `update-index --index-info` makes it; None where git
    may have something to say about a path, such as `.git` by one of its names, or about which of two stands where."""
    if not all(map(_ORDINARY.fullmatch, files)):
        return None
    above = {path[:at] for path in files for at, letter in enumerate(path) if letter == _SLASH}
    if not above.isdisjoint(files):
        return None
    pieces = [_HEADER, len(files).to_bytes(4, "big")]
    for path, (mode, oid) in sorted(files.items()):
        size = _STAT + id_size + _FLAGS + len(path)
        pieces += (bytes(_MODE), mode.to_bytes(4, "big"), bytes(_STAT - _MODE - 4), bytes.fromhex(oid))
        pieces += (min(len(path), _LONGEST).to_bytes(_FLAGS, "big"), path, bytes((size + 8 & ~7) - size))
    return _sealed(pieces, id_size)


def entries_of(raw: bytes, id_size: int) -> dict[bytes, bytes]:
    """path → entry, of a small index."""
    fixed, position, found = _STAT + id_size + _FLAGS, _START, {}
    for _ in range(int.from_bytes(raw[8:_START], "big")):
        end = raw.index(b"\0", position + fixed)
        path = raw[position + fixed : end]
        following = position + (fixed + len(path) + 8 & ~7)
        found[path] = raw[position:following]
        position = following
    return found


def _sealed(pieces: Sequence[bytes | memoryview], id_size: int) -> bytes:
    checksum = hashlib.sha1() if id_size == 20 else hashlib.sha256()
    for piece in pieces:
        checksum.update(piece)
    return b"".join((*pieces, checksum.digest()))


def _locate(raw: bytes, path: bytes, id_size: int) -> tuple[int, int] | None:
    """Start and end of an entry; None where what looks like it is not there once and only once."""
    fixed = _STAT + id_size + _FLAGS
    size = min(len(path), _LONGEST).to_bytes(_FLAGS, "big")
    wanted = path + b"\0"  # not with the size before it: a search for what begins with a nought is slow here
    found, position = [], raw.find(wanted, _START + fixed)
    while position >= 0:
        start = position - fixed
        is_aligned = (start - _START) % 8 == 0
        if (
            is_aligned
            and raw[position - _FLAGS : position] == size
            and raw[start + _MODE : start + _MODE + 4] in _MODES
        ):
            found.append(start)
        position = raw.find(wanted, position + 1)
    if len(found) != 1:
        return None
    return found[0], found[0] + (fixed + len(path) + 8 & ~7)


def _next(tracked: Tracked, path: bytes) -> bytes | None:
    """The first path in the index that comes after this one; None where it would be the last."""
    folder, name = parted(path)
    while True:
        later = [other for other in tracked.names.get(folder, ()) if other > name]
        if later:
            return _outermost(tracked, folder + min(later), last=False)
        if not folder:
            return None
        folder, name = parted(folder[:-1])
        name += b"/"


def _last(tracked: Tracked) -> bytes | None:
    top = tracked.names[b""]
    return _outermost(tracked, max(top), last=True) if top else None


def _outermost(tracked: Tracked, path: bytes, *, last: bool) -> bytes:
    while path.endswith(b"/"):
        path += max(tracked.names[path]) if last else min(tracked.names[path])
    return path


def _invalidated(extensions: bytes, changed: Collection[bytes], id_size: int) -> bytes | None:
    """The part behind the entries, where it is empty or the cache of trees alone."""
    if not extensions:
        return b""
    if extensions[:4] != b"TREE" or int.from_bytes(extensions[4:8], "big") != len(extensions) - 8:
        return None
    stale = {b""}
    for path in changed:
        folder = parted(path)[0]
        while folder not in stale:
            stale.add(folder)
            folder = parted(folder[:-1])[0]
    pieces, position, above, left = [], 8, [b""], [1]  # folders around the one at hand, and how many more are in each
    while position < len(extensions):
        while not left[-1]:
            above.pop()
            left.pop()
        left[-1] -= 1
        name_end = extensions.index(b"\0", position)
        line_end = extensions.index(b"\n", name_end)
        name, (count, inner) = extensions[position:name_end], extensions[name_end + 1 : line_end].split(b" ")
        folder = above[-1] + name + b"/" if name else b""
        following = line_end + 1 + (0 if count == b"-1" else id_size)
        is_stale = folder in stale
        pieces.append(name + b"\0-1 " + inner + b"\n" if is_stale else extensions[position:following])
        above.append(folder)
        left.append(int(inner))
        position = following
    cache = b"".join(pieces)
    return b"TREE" + len(cache).to_bytes(4, "big") + cache
