"""Finds the line a key stands on, which the standard TOML reader does not tell."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_FENCE = re.compile(r'"""|' + r"'''")


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """1-based line where the key at `path`, or the first key or table below it, is written; None if not found."""
    table: tuple[str, ...] = ()
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        opened_before = fence
        fence = _fence_after(line, fence)
        if opened_before is not None:
            continue  # inside a multi-line string nothing is a key
        if header := _HEADER.match(line):
            table = _parts(header[1])
            found = table
        elif key := _KEY.match(line):
            found = table + _parts(key[1])
        else:
            continue
        if found[: len(path)] == path:
            return number
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _fence_after(line: str, fence: str | None) -> str | None:
    """The quotes of a multi-line string that is still open after this line."""
    for mark in _FENCE.findall(line):
        if fence is None:
            fence = mark
        elif fence == mark:
            fence = None
    return fence
