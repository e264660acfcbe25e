"""What is kept stands elsewhere in the next task, and some of it names its place: scripts and `.pth` files of a virtual
environment, caches of build tools. Text files and links that do are written anew; what is no text is left alone."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_AT_ONCE = 200  # arguments of one grep
_NEW = b".maestro-new"


def mentions(repo: Path, kept: Sequence[bytes], before: Path) -> tuple[bytes, ...]:
    """Text files and links below the kept paths that name the folder where `repo` was before; relative to it."""
    if not kept:
        return ()
    names, found = [option for name in _names(before) for option in ("-e", name)], set()
    for start in range(0, len(kept), _AT_ONCE):
        some = [b"./" + path for path in kept[start : start + _AT_ONCE]]
        command = ["grep", "-rlIZF", "--devices=skip", *names, "--", *some]
        done = subprocess.run(command, cwd=repo, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        found.update(done.stdout.split(b"\0")[:-1])
        command = ["find", *some, "-type", "l", "-printf", r"%p\0%l\0"]
        done = subprocess.run(command, cwd=repo, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        parts = iter(done.stdout.split(b"\0")[:-1])
        found.update(
            path for path, target in zip(parts, parts, strict=True) if _renamed(target, before, repo) is not None
        )
    return tuple(sorted(path.removeprefix(b"./") for path in found))


def relocate(repo: Path, named: Sequence[bytes], before: Path) -> None:
    """Let them name `repo` instead of the folder where it was. What cannot be written stays as it is."""
    top = os.fsencode(repo) + b"/"
    for path in named:
        with suppress(OSError):
            mode = os.lstat(top + path).st_mode
            if stat.S_ISLNK(mode):
                target = _renamed(os.readlink(top + path), before, repo)  # noqa: PTH115 - names are bytes
                if target is not None:
                    os.symlink(target, top + path + _NEW)  # noqa: PTH211
                    os.replace(top + path + _NEW, top + path)  # noqa: PTH105
            elif stat.S_ISREG(mode):
                _rewrite(top + path, before, repo, stat.S_IMODE(mode))


def _rewrite(path: bytes, before: Path, repo: Path, mode: int) -> None:
    """As a new file: the old one may have another name in a cache that all projects share."""
    with open(path, "rb") as file:
        text = _renamed(file.read(), before, repo)
    if text is not None:
        with open(path + _NEW, "xb") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        os.replace(path + _NEW, path)  # noqa: PTH105


def _renamed(text: bytes, before: Path, repo: Path) -> bytes | None:
    """None where it does not name the place; a name that only begins like it is another."""
    changed = False
    for old, new in zip(_names(before), _names(repo), strict=True):
        text, count = re.subn(re.escape(old) + rb"(?![\w.-])", new.replace(b"\\", rb"\\"), text)
        changed |= count > 0
    return text if changed else None


def _names(repo: Path) -> list[bytes]:
    """As it is called, and with the links on the way followed where that is another name."""
    called, real = os.fsencode(repo), os.fsencode(os.path.realpath(repo))
    return [called, real] if called != real else [called, called]
