"""Fresh files made a little older, so that git need not read them all.

Git compares whole seconds. Of a file written in the second of its index it cannot tell whether it was changed after
that, so it reads the contents of each such file, and in a fresh checkout that is all of them, for every `add`, `commit`
and `status` until an index is written in a later second. So the files get an mtime before that second, and the index
what the file system says of them then.

One change in that second git would miss then: other contents of the same length in the same file, with the mtime put
back. The ctime tells of it, by nanoseconds; `reveal` lets git look before anything is concluded from its answers.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from contextlib import suppress
from pathlib import Path

from maestro.workspaces.index import IndexPaths, Young, born

_SECOND = 1_000_000_000
_EARLIER = 2
"""Seconds. One would do, were every file system's clock that of the system."""

_TIMES = struct.Struct(">LLLL")  # ctime, mtime: second and nanosecond of each


def age(repo: Path, index: Path, found: IndexPaths, id_size: int) -> Young:
    """Make the files older that git would have to read, and say so in the index; those, as they are now.

    `found` is what `index` holds. Nobody works in the files yet. OSError where a file is gone or cannot be written.
    """
    if not found.young:
        return {}
    raw, top, lstat, young = bytearray(index.read_bytes()), os.fsencode(repo) + b"/", os.lstat, {}
    moment = (index.stat().st_mtime_ns // _SECOND - _EARLIER) * _SECOND
    for name, place in zip(found.files, found.own, strict=True):
        if name not in found.young:
            continue
        path = top + name
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
        about = lstat(path)
        young[name] = born(about)
        times = divmod(about.st_ctime_ns, _SECOND) + divmod(about.st_mtime_ns, _SECOND)
        _TIMES.pack_into(raw, place.start, *times)
    checksum = hashlib.sha1 if id_size == 20 else hashlib.sha256
    if any(raw[-id_size:]):  # else index.skipHash is set
        raw[-id_size:] = checksum(memoryview(raw)[:-id_size]).digest()
    fresh = index.with_name("index.new")
    fresh.write_bytes(raw)
    fresh.chmod(stat.S_IMODE(index.stat().st_mode))
    fresh.replace(index)
    return young


def reveal(repo: Path, index: Path, young: Young | None) -> bool:
    """Where any of the files is not as it was, let git read all: it does when the index is the older. The same where
    it is not known which files those are (None). Whether git sees by itself whatever changes from now on.

    OSError where that cannot be done.
    """
    began_ns, top = time.time_ns(), os.fsencode(repo) + b"/"
    if young is None or not all(_is_same(top + name, known) for name, known in young.items()):
        with suppress(FileNotFoundError):  # without an index all differs
            os.utime(index, ns=(_SECOND, _SECOND), follow_symlinks=False)
    newest_ns = max((changed for _, changed in young.values()), default=0) if young else 0
    return began_ns // _SECOND > newest_ns // _SECOND + _EARLIER


def _is_same(path: bytes, known: tuple[int, int]) -> bool:
    try:
        return born(os.lstat(path)) == known
    except (FileNotFoundError, NotADirectoryError):
        return True  # git sees that it is gone
    except OSError:
        return False
