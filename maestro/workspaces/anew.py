"""Small files of our own, replaced: a reader meets all of one or what was there before."""

from __future__ import annotations

import os

SUFFIX = ".new"
"""Of the name under which one is written."""


def write_anew(path: str, content: bytes) -> None:
    """As a file of its own, whatever stood there; no link is followed. OSError where it cannot be."""
    fresh = path + SUFFIX
    with open(fresh, "wb", opener=_no_link) as file:
        file.write(content)
    os.replace(fresh, path)  # noqa: PTH105 - several times for each task


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
