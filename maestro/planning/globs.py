"""Globs over repository paths, as text only: nothing is looked up on a disk.

`*` and `?` stay within a folder, `**` crosses folders, `{a,b}` is a choice; a pattern without a slash matches at any
depth, as in .gitignore. `[…]` is a set of characters *or* those very characters, for `app/[id]/page.tsx` is a path.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable

_WILD = re.compile(r"[*?{\[]")
_TOKEN = re.compile(r"\*\*+/?|\*|\?|\[[^\]/]+\]|\{[^{}]*\}|.", re.DOTALL)


def is_glob(path: str) -> bool:
    """Whether the text may match paths other than itself."""
    return _WILD.search(path) is not None


def compile_glob(pattern: str) -> re.Pattern[str] | None:
    """The pattern as an expression for `fullmatch`, None where it is malformed."""
    prefix = "" if "/" in pattern else "(?:.*/)?"
    try:
        return re.compile(prefix + "".join(_expression(token) for token in _TOKEN.findall(pattern)), re.DOTALL)
    except re.error:
        return None


def sample_path(pattern: str) -> str:
    """One path that the pattern matches, to compare patterns whose files do not exist yet."""
    return "".join(_sample(token) for token in _TOKEN.findall(pattern))


class PathIndex:
    """Sorted paths; a pattern is tried only on those that share its fixed beginning."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = sorted(set(paths))

    def matching(self, pattern: str) -> list[str]:
        """The paths that the pattern matches, sorted; none for a malformed one."""
        expression = compile_glob(pattern)
        if expression is None:
            return []
        fixed = _WILD.split(pattern, maxsplit=1)[0] if "/" in pattern else ""
        return [path for path in self._beginning_with(fixed) if expression.fullmatch(path)]

    def has_folder(self, path: str) -> bool:
        """Whether some path lies below this one."""
        folder = f"{path}/"
        at = bisect_left(self._paths, folder)
        return at < len(self._paths) and self._paths[at].startswith(folder)

    def _beginning_with(self, fixed: str) -> Iterable[str]:
        at = bisect_left(self._paths, fixed)
        while at < len(self._paths) and self._paths[at].startswith(fixed):
            yield self._paths[at]
            at += 1


def _expression(token: str) -> str:
    if token.startswith("**"):
        return "(?:.*/)?" if token.endswith("/") else ".*"
    if token == "*":
        return "[^/]*"
    if token == "?":
        return "[^/]"
    if token.startswith("{") and len(token) > 1:
        return "(?:" + "|".join(_choice(one) for one in token[1:-1].split(",")) + ")"
    if token.startswith("[") and len(token) > 1:
        negation = "^" if token[1] in "!^" else ""
        # Doubled signs are set operations to `re`, but only characters in a glob.
        inner = re.sub("-{2,}", "-", re.escape(token[1 + len(negation) : -1]).replace(r"\-", "-"))
        return f"(?:[{negation}{inner}]|{re.escape(token)})"
    return re.escape(token)


def _choice(text: str) -> str:
    return "".join(_expression(token) for token in _TOKEN.findall(text))


def _sample(token: str) -> str:
    if token.startswith("**"):
        return "x/" if token.endswith("/") else "x"
    if token in {"*", "?"}:
        return "x"
    if token.startswith("{") and len(token) > 1:
        return token[1:-1].split(",", maxsplit=1)[0]
    return token
