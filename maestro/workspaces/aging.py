"""Fresh files made a little older, so that git need not read them all.

Git compares whole seconds. Of a file written in the second of its index it cannot tell whether it was changed after
that, so it reads the contents of each such file, and in a fresh checkout that is all of them, for every `add`, `commit`
and `status` until an index is written in a later second. So the files get an mtime before that second, each another
one, and the index what the file system says of them then.

One change in that second git would miss then: other contents of the same length in the same file, with its own mtime
put back. The ctime tells of it, by nanoseconds: `reveal` of the pool lets git look before anything is concluded from
its answers.

All of it is done by a process of its own, for which this file knows nothing but Python's own modules: thousands of
calls of the system from the process of a run would take several times as long, since other threads wait for the
interpreter at each of them.
"""

from __future__ import annotations

import os
import struct
import time

PROGRAM = "import sys; sys.path.append(sys.argv[1]); from aging import age; age(*sys.argv[2:4], int(sys.argv[4]))"
"""For `python -c`; its arguments are the folder of this file, and those of `age`."""

_SECOND = 1_000_000_000
_EARLIER = 2
"""Seconds. One would do, were every file system's clock that of the system."""

_TICK_SECONDS = 0.0005

# gitformat-index(5): a header, then of each file what stat says, its object id, flags, its path
_HEADER, _STAT, _FLAGS, _MODE = 12, 40, 2, 26
_TIMES = struct.Struct(">LLLL")  # ctime, mtime: second and nanosecond of each
_TYPES = (0x80, 0xA0)  # of the mode, in the first of its two bytes that are not nought: a file, a symbolic link
_ASSUMED = 0x80  # to be unchanged: the first bit of the flags
_SPLIT = b"link"  # the extension, always the first one, of an index whose files stand in another one


def age(repo: str, index: str, id_size: int) -> None:
    """Make the files older that git would have to read, and say so in the index. Nobody works in the files yet.

    Another index than of version 2, or with anything but files in it that git looks at, is left as it is, and so is
    everything where a ctime has no part of a second: nothing would tell of a change in that second.

    `id_size`: bytes of an object id. OSError where a file is gone or cannot be written: some have become older then
    without the knowledge of the index.
    """
    with open(index, "rb") as file:
        raw, about = bytearray(file.read()), os.fstat(file.fileno())
    if raw[:8] != b"DIRC\0\0\0\2":
        return
    written, (files, end) = about.st_mtime_ns // _SECOND, _files(raw, id_size)
    if raw[end : end + len(_SPLIT)] == _SPLIT or any(_is_odd(raw, place, id_size) for place, _ in files):
        return
    young = [(place, name) for place, name in files if _TIMES.unpack_from(raw, place)[0] >= written]
    if not any(_TIMES.unpack_from(raw, place)[1] for place, _ in young):
        return
    newest = _set_back(repo, raw, young, written - _EARLIER - len(young))
    if any(raw[-id_size:]):  # else index.skipHash is set
        raw[-id_size:] = _digest(raw[:-id_size], id_size)
    fresh = index + ".new"
    with open(fresh, "xb") as file:
        os.fchmod(file.fileno(), about.st_mode & 0o777)
        file.write(raw)
    while os.stat(fresh).st_ctime_ns <= newest:  # noqa: PTH116 - a change at once would not be seen by its ctime
        time.sleep(_TICK_SECONDS)
        os.utime(fresh)
    os.replace(fresh, index)  # noqa: PTH105 - pathlib alone takes longer to load than all of this


def _set_back(repo: str, raw: bytearray, young: list[tuple[int, bytes]], moment: int) -> int:
    """Give each its mtime, a second after that of the one before, in the order of their checkout; `raw` tells of it
    then. The newest ctime."""
    newest, top = 0, os.open(repo, os.O_RDONLY | os.O_DIRECTORY)
    for second, (place, name) in enumerate(young, moment):
        os.utime(name, ns=(second * _SECOND, second * _SECOND), dir_fd=top, follow_symlinks=False)
        now = os.lstat(name, dir_fd=top)
        newest = max(newest, now.st_ctime_ns)
        _TIMES.pack_into(raw, place, *divmod(now.st_ctime_ns, _SECOND), *divmod(now.st_mtime_ns, _SECOND))
    os.close(top)
    return newest


def _is_odd(raw: bytearray, place: int, id_size: int) -> bool:
    """Whether an entry is not that of a file or link, or git is told not to look at it."""
    return raw[place + _MODE] & 0xF0 not in _TYPES or bool(raw[place + _STAT + id_size] & _ASSUMED)


def _files(raw: bytearray, id_size: int) -> tuple[list[tuple[int, bytes]], int]:
    """Where the entry of each begins, and its path; where the entries end."""
    found, place, fixed = [], _HEADER, _STAT + id_size + _FLAGS
    for _ in range(int.from_bytes(raw[8:_HEADER], "big")):
        end = raw.index(b"\0", place + fixed)
        found.append((place, bytes(raw[place + fixed : end])))
        place += (end - place + 8) & ~7
    return found, place


def _digest(content: bytearray, id_size: int) -> bytes:
    if id_size == 20:
        try:
            from _sha1 import sha1  # type: ignore[import-not-found]  # hashlib takes as long to load as all files take
        except ImportError:
            from hashlib import sha1
        return bytes(sha1(content).digest())
    from hashlib import sha256

    return sha256(content).digest()
