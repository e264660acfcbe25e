"""What git tracks, folder by folder: read from an index once, then brought from commit to commit by what differs.

A folder is named as in `a/b/`, the top by nothing; among the names in it those of folders end with a slash.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from maestro.vcs.parse import GITLINK, RawChange
from maestro.workspaces.index import IndexPaths, Young, read_index

ABSENT = "000000"
"""The mode of what is not there, in a difference of two commits."""

ATTRIBUTES = b".gitattributes"


@dataclass(frozen=True)
class Tracked:
    """Names in each folder; folders that nothing changed in are shared with the one it was made from."""

    names: Mapping[bytes, frozenset[bytes]]

    def __contains__(self, path: bytes) -> bool:
        """Whether a file or a folder of the path is tracked."""
        folder, name = parted(path)
        there = self.names.get(folder, frozenset())
        return name in there or name + b"/" in there

    def folders(self) -> Mapping[bytes, Sequence[bytes]]:
        """Those straight in each folder, by their whole paths."""
        found: dict[bytes, list[bytes]] = {folder: [] for folder in self.names}
        for folder in self.names:
            if folder:
                found[parted(folder[:-1])[0]].append(folder)
        return found

    def attributes(self) -> list[bytes]:
        """Tracked files that tell git how to check others out."""
        return [folder + ATTRIBUTES for folder, names in self.names.items() if ATTRIBUTES in names]

    def after(self, changes: Iterable[RawChange]) -> Tracked | None:
        """What is tracked once these have come; None where a checkout may differ in more than these."""
        names: dict[bytes, frozenset[bytes]] = dict(self.names)
        gone, come = [], []
        for change in changes:
            if (
                GITLINK in (change.old_mode, change.new_mode)
                or os.fsencode(change.path).rpartition(b"/")[2] == ATTRIBUTES
            ):
                return None
            path = os.fsencode(change.path)
            if change.new_mode == ABSENT:
                gone.append(path)
            elif change.old_mode == ABSENT:
                come.append(path)
        for path in gone:
            _take_out(names, path)
        for path in come:
            _put_in(names, path)
        return Tracked(names)


def tracked_by(index: IndexPaths) -> Tracked:
    """The same from an index."""
    found: defaultdict[bytes, set[bytes]] = defaultdict(set)
    found[b""] = set()
    for path in index.files:
        folder, slash, name = path.rpartition(b"/")
        found[folder + slash].add(name)
    for path in list(found):
        inner = path
        while inner:
            folder, name = parted(inner[:-1])
            found[folder].add(name + b"/")
            inner = folder
    return Tracked({folder: frozenset(there) for folder, there in found.items()})


class IndexReader:
    """Reads indexes of fresh checkouts, most of them of the same commit; from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._last: tuple[IndexPaths, Tracked] | None = None

    def read(self, index: Path, id_size: int) -> tuple[Tracked, Young] | None:
        """What is tracked, and what is young; None for an index that `read_index` does not read."""
        with self._guard:
            like = self._last[0] if self._last else None
            found = read_index(index, id_size, like)
            if found is None:
                return None
            if self._last is None or found.files is not self._last[0].files:
                self._last = (found, tracked_by(found))
            return self._last[1], found.young


class Stamp(NamedTuple):
    """A folder as it was; whatever is put into it, taken out or renamed changes its ctime, which nobody can set. Or a
    file: whatever is written into it does the same."""

    device: int
    inode: int
    mode: int
    changed_ns: int


def stamp_of(path: bytes | Path) -> Stamp:
    """OSError where nothing is there."""
    found = os.lstat(path)
    return Stamp(found.st_dev, found.st_ino, found.st_mode, found.st_ctime_ns)


@dataclass(frozen=True)
class Marks:
    """What git sets nowhere and chmod leaves alone: owner, group, extended attributes (lists of access among them)."""

    owner: int
    group: int
    attributes: frozenset[tuple[str, bytes]]


def marks_of(path: bytes | Path) -> Marks:
    """OSError where nothing is there."""
    found = os.lstat(path)
    return Marks(found.st_uid, found.st_gid, frozenset(_attributes(path)))


def _attributes(path: bytes | Path) -> Iterator[tuple[str, bytes]]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return
    for name in names:
        if name != "security.selinux":  # the system labels everything
            yield name, os.getxattr(path, name, follow_symlinks=False)


def stamps(repo: Path, tracked: Tracked, until_ns: int, known: Mapping[bytes, Stamp]) -> dict[bytes, Stamp]:
    """Of every folder, and of the files with attributes, that was last changed before that moment of the file system's
    own clock: what changes one of these from now on is seen, however soon it does. The top is left out: it is moved.

    `known` are older ones of the same; what changed one of these since will be seen as well, so they are not taken
    again."""
    top, found = os.fsencode(repo) + b"/", {}
    for path in (*tracked.names, *tracked.attributes()):
        if path in known:
            found[path] = known[path]
        elif path and (stamp := stamp_of(top + path)).changed_ns < until_ns:
            found[path] = stamp
    return found


def parted(path: bytes) -> tuple[bytes, bytes]:
    """Folder and name."""
    folder, slash, name = path.rpartition(b"/")
    return folder + slash, name


def _take_out(names: dict[bytes, frozenset[bytes]], path: bytes) -> None:
    folder, name = parted(path)
    names[folder] = names.get(folder, frozenset()) - {name}
    while folder and not names[folder]:
        del names[folder]
        folder, name = parted(folder[:-1])
        names[folder] -= {name + b"/"}


def _put_in(names: dict[bytes, frozenset[bytes]], path: bytes) -> None:
    folder, name = parted(path)
    while True:
        there = names.get(folder)
        names[folder] = (there or frozenset()) | {name}
        if there is not None or not folder:
            return
        folder, name = parted(folder[:-1])
        name += b"/"
