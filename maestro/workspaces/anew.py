"""Small files of our own, replaced: a reader meets all of one or what was there before."""

from __future__ import annotations

import os

SUFFIX = ".new"
"""Of the name under which one is written."""


def write_anew(path: str, content: bytes) -> None:
    """As a file of its own, whatever stood there; no link is followed, and nothing else that an agent may have put
    under either name. OSError where it cannot be."""
    fresh = path + SUFFIX
    try:
        file = open(fresh, "xb")  # noqa: SIM115 - closed below
    except FileExistsError:  # of a crash; or planted: another name of a file, or a pipe that nobody reads
        os.unlink(fresh)  # noqa: PTH108
        file = open(fresh, "xb")  # noqa: SIM115
    with file:
        file.write(content)
    os.replace(fresh, path)  # noqa: PTH105 - several times for each task
