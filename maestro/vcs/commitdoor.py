"""Commits written by one `git hash-object --stdin-paths` after another, instead of a `commit-tree` for each.

What `commit-tree` adds to the bytes of a commit (builtin/commit-tree.c, ident.c, date.c) is put together here, for
plain cases only: full ids, names that need no cleaning, dates that need no reading, UTF-8. git checks the form, and
writes the object; that its tree and its parents are there, and are what they should be, a `git cat-file` says. For
whatever is not plain, is refused, or finds nobody to write it, a process of its own is called, whose answer counts.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence

from maestro.proc import spawned
from maestro.vcs import kept

_DATE = re.compile(r"@((?:0|[1-9][0-9]{0,15}) (?:\+|-(?!0000))[0-9]{2}[0-5][0-9])")
"""Which git writes as it is: it takes zeros from the front, and `-0000` and `+0075` for `+0000` and `+0115`."""

_PLAIN = re.compile(r"[^\s.,:;\"\\'<>\x00-\x20](?:[^<>\n\x00]*[^\s.,:;\"\\'<>\x00-\x20])?")
"""What git takes for a name or an address as it is: it drops the others from both ends, `<`, `>` and line ends
everywhere."""

_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)) + "]"
)
"""Code points that git takes for bytes of another encoding (utf8.c)."""


class KindDoor(kept.Door):
    """Knows of no object while it is closed."""

    command = ("cat-file", "--batch-check=%(objecttype)")

    def are(self, tree: str, commits: Sequence[str]) -> bool:
        """Whether all are there, and are that, by their ids in full."""
        question = "".join(f"{one}\n" for one in (tree, *commits)).encode()
        if len(question) > kept.AT_ONCE:
            return False
        wanted = b"tree\n" + b"commit\n" * len(commits)
        with self._lock:
            said = self._ask(question, lambda said: len(said) >= len(wanted) or not wanted.startswith(said))
            if said != wanted:
                self._end()  # there may be more of the answer
            return said == wanted


class CommitDoor(kept.Door):
    """Writes nothing while it is closed."""

    command = ("hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths")
    has_file = True

    def write(self, commit: bytes) -> str | None:
        """The id of the commit; None where none was written."""
        question = f"/proc/self/fd/{spawned.FILE}\n".encode()
        with self._lock:
            try:
                said = self._ask(question, lambda said: said.endswith(b"\n"), file=commit)
            except OSError:
                return None
            written = (said or b"").decode("ascii", "replace").removesuffix("\n")
            if kept.FULL_ID.fullmatch(written) and written == _id_of(commit, len(written)):  # else of another content
                return written
            self._end()
        return None


def plain_commit(tree: str, parents: Sequence[str], message: bytes, env: Mapping[str, str]) -> bytes | None:
    """A commit as git would write it now in the environment `env`, which says by whom (`GIT_AUTHOR_NAME` …); None
    where that is not certain."""
    is_known = all(map(kept.FULL_ID.fullmatch, (tree, *parents))) and len(set(parents)) == len(parents)
    now = _now(env)  # once: the author is no earlier than the committer
    signed = {role: _signature(role, env, now) for role in ("author", "committer")}
    if not is_known or None in signed.values():
        return None
    lines = [f"tree {tree}", *(f"parent {one}" for one in parents), *(f"{role} {by}" for role, by in signed.items())]
    try:
        text = "\n".join(lines) + "\n\n" + message.decode()
        return None if "\0" in text or _NO_CHARACTERS.search(text) else text.encode()
    except UnicodeError:
        return None


def _signature(role: str, env: Mapping[str, str], now: str | None) -> str | None:
    name, email, date = (env.get(f"GIT_{role}_{field}".upper()) for field in ("name", "email", "date"))
    if name is None or email is None or not _PLAIN.fullmatch(name) or not _PLAIN.fullmatch(email):
        return None
    when = f"@{now}" if date is None else date
    return f"{name} <{email}> {given[1]}" if (given := _DATE.fullmatch(when)) else None


def _now(env: Mapping[str, str]) -> str | None:
    """Seconds since 1970, and the local time zone; None where it is another one in that environment than in ours."""
    if any(env.get(name) != os.environ.get(name) for name in ("TZ", "TZDIR")):
        return None
    time.tzset()  # as each git does: the zone may have been changed
    now = int(time.time())
    minutes = int(time.localtime(now).tm_gmtoff / 60)
    return f"{now} {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _id_of(commit: bytes, length: int) -> str:
    kind = hashlib.sha1 if length == 40 else hashlib.sha256
    return kind(b"commit %d\0%b" % (len(commit), commit), usedforsecurity=False).hexdigest()
