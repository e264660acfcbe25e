"""What survives when a used workspace is emptied for the next task: `keep`, such as `.venv` or `node_modules` (W-5).

A pattern without a slash names files and folders of that name wherever git tracks something beside them; one with a
slash is a path from the top. `*`, `?` and `[…]` stand for anything but a slash. The same lines are ignore patterns of
git, so that nothing of it comes into a commit; what the repository itself does not let git ignore is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from maestro.errors import BadInput

_CLASS = re.compile(rb"\[(!?)([^/\]]+)\]")


class Keep:
    """The patterns of one run; paths are bytes, relative to the top, without a slash at the end."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """BadInput for one that could never name anything."""
        split = [_segments(pattern) for pattern in patterns]
        self._names = [_expression(parts[0]) for is_path, parts in split if not is_path]
        self._paths = [tuple(map(_expression, parts)) for is_path, parts in split if is_path]
        self.lines = tuple("/" * is_path + "/".join(parts) for is_path, parts in split)  # of a .gitignore

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def names(self, path: bytes) -> bool:
        """Whether a pattern names the path, or a folder that it is in."""
        parts = path.split(b"/")
        if any(one.fullmatch(part) for part in parts for one in self._names):
            return True
        return any(len(one) <= len(parts) and _fits(one, parts) for one in self._paths)

    def is_exact(self, path: bytes) -> bool:
        """Whether a pattern from the top names it: then it may stand in folders that git does not track."""
        parts = path.split(b"/")
        return any(len(one) <= len(parts) and _fits(one, parts) for one in self._paths)

    def leads_through(self, folder: bytes) -> bool:
        """Whether a pattern may name something in the folder, which itself is not kept."""
        parts = folder.split(b"/")
        return any(len(one) > len(parts) and _fits(one, parts) for one in self._paths)


def _fits(expressions: Sequence[re.Pattern[bytes]], parts: Sequence[bytes]) -> bool:
    """Whether each part fits its expression, as far as there are both."""
    return all(one.fullmatch(part) for one, part in zip(expressions, parts, strict=False))


def _segments(pattern: str) -> tuple[bool, list[str]]:
    """Whether it is a path from the top, and its parts; a name that may stand anywhere is one part."""
    text = pattern.rstrip("/").removeprefix("**/")
    parts = text.removeprefix("/").split("/")
    if any(part in ("", ".", "..", ".git") for part in parts) or text != text.strip() or text[0] in "!#":
        raise BadInput(f"keep: {pattern!r} names nothing in a workspace", hint='such as ".venv" or "web/node_modules"')
    if any("**" in part for part in parts) or set("".join(parts)) <= set("*?") or set(text) & set("\\\n"):
        raise BadInput(f"keep: {pattern!r} cannot be used", hint="name what is to stay; * stands for a part of a name")
    return "/" in text, parts


def _expression(part: str) -> re.Pattern[bytes]:
    """A pattern of one name."""
    raw, position, out = part.encode("utf-8", "surrogateescape"), 0, b""
    while position < len(raw):
        letter = raw[position : position + 1]
        if letter == b"[" and (found := _CLASS.match(raw, position)):
            out += b"[" + (b"^" if found[1] else b"") + re.escape(found[2]).replace(rb"\-", b"-") + b"]"
            position = found.end()
            continue
        out += {b"*": b".*", b"?": b"."}.get(letter) or re.escape(letter)
        position += 1
    return re.compile(out, re.DOTALL)
