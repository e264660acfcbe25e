"""Reads what `git merge-tree --write-tree -z --messages --name-only` says; pure.

The output is: tree id, NUL, one conflicted path and NUL each, an empty field, then per message the number
of its paths, the paths, a fixed kind such as `CONFLICT (contents)`, and the words for people; NUL after each
(git-merge-tree(1), "OUTPUT"). Exit code 0 is a clean merge, 1 a conflict — and also, in git 2.39, an id that
is no commit, which is told from a conflict by its empty output.
"""

from __future__ import annotations

from typing import NamedTuple

from maestro.errors import GitError
from maestro.model.conflict import Conflict

MERGE_TREE = ("merge-tree", "--write-tree", "-z", "--messages", "--name-only")


class Merged(NamedTuple):
    """A merge without a conflict: the tree it gives."""

    tree: str


def parse_merge_tree(stdout: bytes, returncode: int, *, ours: str, theirs: str, base: str | None) -> Merged | Conflict:
    """The merge as a value; GitError when the output is not what git documents.

    `ours` and `theirs` are the revisions as they were given to git, which uses them in its words. Bytes of a
    path that are no UTF-8 are shown as `\\xe9`, since records hold text only.
    """
    fields = stdout.split(b"\0")
    tree = fields[0].decode("ascii", "replace")
    if len(fields) < 3 or returncode not in (0, 1):
        raise GitError("git merge-tree said something unknown", output=_text(stdout[:400]), returncode=returncode)
    if returncode == 0:
        return Merged(tree=tree)
    end = fields.index(b"", 1)
    paths = [_text(field) for field in fields[1:end]]
    messages: list[str] = []
    for touched, kind, words in _messages(fields[end + 1 :]):
        if kind.startswith("CONFLICT"):
            paths.extend(touched)
            messages.append(words)
    return Conflict(
        paths=_real_paths(paths, (ours, theirs)), ours=ours, theirs=theirs, base=base, messages=tuple(messages)
    )


def _messages(fields: list[bytes]) -> list[tuple[list[str], str, str]]:
    """(paths, kind, words) of each message."""
    found = []
    at = 0
    while at < len(fields) and fields[at]:
        count = int(fields[at])
        paths = [_text(field) for field in fields[at + 1 : at + 1 + count]]
        kind, words = fields[at + 1 + count], fields[at + 2 + count]
        found.append((paths, _text(kind), _text(words).strip()))
        at += count + 3
    return found


def _real_paths(paths: list[str], sides: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, once each, without the stand-ins `name~side` that git makes up where a directory is in the way."""
    real = set()
    for path in paths:
        for side in sides:
            path = path.removesuffix(f"~{side}")  # noqa: PLW2901 - at most one of them is there
        real.add(path)
    return tuple(sorted(real))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
