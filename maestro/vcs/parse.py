"""Pure parsers of git's NUL-separated output. Paths are text with surrogate escapes: any bytes survive the way back.

Formats: git-status(1) "Porcelain Format Version 2", git-diff-tree(1) "Raw output format", git-worktree(1)
"Porcelain Format", git-ls-tree(1), git-config(1) `-z`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

GITLINK = "160000"
"""Mode of a tree entry that is another repository's commit."""


class StatusEntry(NamedTuple):
    """One path of `git status --porcelain=v2 -z`. `kind` is `1`, `2` (renamed), `u` (unmerged), `?` or `!`."""

    kind: str
    path: str
    xy: str = ""
    submodule: str = ""  # "N..." for a file, "S<c><m><u>" for a submodule
    details: str = ""  # the modes and object names as git prints them
    original: str | None = None

    @property
    def is_nested_repository(self) -> bool:
        """An untracked folder that git shows closed, since it is a repository of its own (with -uall)."""
        return self.kind == "?" and self.path.endswith("/")


class Status(NamedTuple):
    """`git status --porcelain=v2 --branch -z`. `oid` is None on an unborn branch, `branch` None on a detached HEAD."""

    oid: str | None
    branch: str | None
    entries: tuple[StatusEntry, ...]


class RawChange(NamedTuple):
    """One path of `git diff-tree -r --raw -z`."""

    old_mode: str
    new_mode: str
    old: str
    new: str
    status: str  # A, M, D, T, R100 …
    path: str
    source: str | None = None  # of a rename or copy


class WorktreeEntry(NamedTuple):
    """One block of `git worktree list --porcelain -z`."""

    path: str
    head: str | None = None
    branch: str | None = None  # full ref
    bare: bool = False
    locked: bool = False
    prunable: bool = False


class TreeEntry(NamedTuple):
    """One line of `git ls-tree -z`."""

    mode: str
    kind: str
    oid: str
    path: str


def text_of(data: bytes) -> str:
    """Bytes as text that turns back into the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def printable(path: str) -> str:
    """The path for people and for JSON: bytes that are not UTF-8 are shown as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def fields(data: bytes) -> list[str]:
    """The NUL-terminated parts."""
    parts = text_of(data).split("\0")
    return parts[:-1] if parts and parts[-1] == "" else parts


def parse_status(data: bytes) -> Status:
    """ValueError on a line that is not of this format."""
    oid: str | None = None
    branch: str | None = None
    entries: list[StatusEntry] = []
    parts = iter(fields(data))
    for part in parts:
        if part.startswith("# "):
            name, _, value = part[2:].partition(" ")
            if name == "branch.oid":
                oid = None if value == "(initial)" else value
            elif name == "branch.head":
                branch = None if value == "(detached)" else value
        else:
            entries.append(_status_entry(part, parts))
    return Status(oid, branch, tuple(entries))


def _status_entry(part: str, parts: Iterator[str]) -> StatusEntry:
    kind, _, rest = part.partition(" ")
    match kind:
        case "?" | "!":
            return StatusEntry(kind, rest)
        case "1":
            xy, submodule, *details, path = rest.split(" ", 7)[:8]
            return StatusEntry(kind, path, xy, submodule, " ".join(details))
        case "2":
            xy, submodule, *details, path = rest.split(" ", 8)[:9]
            return StatusEntry(kind, path, xy, submodule, " ".join(details), next(parts))
        case "u":
            xy, submodule, *details, path = rest.split(" ", 9)[:10]
            return StatusEntry(kind, path, xy, submodule, " ".join(details))
        case _:
            raise ValueError(f"not a line of git status: {part!r}")


def parse_raw_diff(data: bytes) -> tuple[RawChange, ...]:
    """Of `git diff-tree -r --raw -z` between two trees."""
    changes = []
    parts = iter(fields(data))
    for part in parts:
        if not part.startswith(":"):
            continue  # diff-tree with one commit prints its id first
        old_mode, new_mode, old, new, status = part[1:].split(" ")
        first = next(parts)
        if status[0] in "RC":
            changes.append(RawChange(old_mode, new_mode, old, new, status, next(parts), first))
        else:
            changes.append(RawChange(old_mode, new_mode, old, new, status, first))
    return tuple(changes)


def parse_name_status(data: bytes) -> tuple[tuple[str, str], ...]:
    """(status, path) of `git diff --name-status -z`; a rename gives its new path."""
    changes = []
    parts = iter(fields(data))
    for status in parts:
        path = next(parts)
        if status[0] in "RC":
            path = next(parts)
        changes.append((status, path))
    return tuple(changes)


def parse_worktrees(data: bytes) -> tuple[WorktreeEntry, ...]:
    """Of `git worktree list --porcelain -z`; the main one is first."""
    found = []
    for block in text_of(data).split("\0\0"):
        lines = {}
        for line in block.split("\0"):
            name, _, value = line.partition(" ")
            if name:
                lines[name] = value
        if "worktree" in lines:
            entry = WorktreeEntry(
                path=lines["worktree"],
                head=lines.get("HEAD"),
                branch=lines.get("branch"),
                bare="bare" in lines,
                locked="locked" in lines,
                prunable="prunable" in lines,
            )
            found.append(entry)
    return tuple(found)


def parse_tree(data: bytes) -> tuple[TreeEntry, ...]:
    """Of `git ls-tree -z`, recursive or not."""
    entries = []
    for part in fields(data):
        head, _, path = part.partition("\t")
        mode, kind, oid = head.split(" ")[:3]
        entries.append(TreeEntry(mode, kind, oid, path))
    return tuple(entries)


def parse_refs(data: bytes) -> dict[str, str]:
    """ref → object name, of `git for-each-ref --format='%(objectname) %(refname)'`."""
    refs = {}
    for line in filter(None, text_of(data).split("\n")):  # splitlines would cut at U+2028, which a ref may hold
        oid, _, ref = line.partition(" ")
        refs[ref] = oid
    return refs


def parse_config(data: bytes) -> tuple[tuple[str, str, str], ...]:
    """(scope, key, value) of `git config --list --show-scope -z`; a key without a value counts as "true"."""
    parts = fields(data)
    settings = []
    for scope, setting in zip(parts[::2], parts[1::2], strict=True):
        key, newline, value = setting.partition("\n")
        settings.append((scope, key, value if newline else "true"))
    return tuple(settings)
