"""Commits written by one `git hash-object --stdin-paths` after another, instead of a `commit-tree` for each.

What `commit-tree` adds to the bytes of a commit (builtin/commit-tree.c, ident.c) is put together here, for plain cases
only: known ids, names that need no cleaning, UTF-8. git checks the form, and writes the object. For whatever is not
plain, is refused, or finds nobody to write it, a process of its own is called, whose answer counts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from maestro.vcs import kept, spawned

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DATE = re.compile(r"@\d+ [-+]\d{4}")
_PLAIN = re.compile(r"[^\s.,:;\"\\'<>\x00-\x20](?:[^<>\n\x00]*[^\s.,:;\"\\'<>\x00-\x20])?")
"""What git takes for a name or an address as it is: it drops the others from both ends, `<`, `>` and line ends
everywhere."""

_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17)) + "]"
)
"""Code points that git takes for bytes of another encoding (utf8.c)."""


class CommitDoor(kept.Door):
    """Writes nothing while it is closed."""

    command = ("hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths")
    has_file = True

    def write(self, commit: bytes) -> str | None:
        """The id of the commit; None where none was written."""
        with self._lock:
            process = self._running()
            if process is None:
                return None
            process.fill(commit)
            said = self._ask(f"/dev/fd/{spawned.FILE}\n".encode(), lambda said: said.endswith(b"\n"))
            written = (said or b"").decode("ascii", "replace").removesuffix("\n")
            if _ID.fullmatch(written):
                return written
            self._end()
        return None


def plain_commit(tree: str, parents: Sequence[str], message: bytes, env: Mapping[str, str]) -> bytes | None:
    """A commit as git would write it now, by whom `env` says (`GIT_AUTHOR_NAME` …); None where that is not certain."""
    signed = {role: _signature(role, env) for role in ("author", "committer")}
    is_known = all(map(_ID.fullmatch, (tree, *parents))) and len(set(parents)) == len(parents)
    if not is_known or None in signed.values():
        return None
    lines = [f"tree {tree}", *(f"parent {one}" for one in parents), *(f"{role} {by}" for role, by in signed.items())]
    try:
        text = "\n".join(lines) + "\n\n" + message.decode()
        return None if "\0" in text or _NO_CHARACTERS.search(text) else text.encode()
    except UnicodeError:
        return None


def _signature(role: str, env: Mapping[str, str]) -> str | None:
    name, email, date = (env.get(f"GIT_{role}_{field}".upper()) for field in ("name", "email", "date"))
    if name is None or email is None or not _PLAIN.fullmatch(name) or not _PLAIN.fullmatch(email):
        return None
    if date is None:
        date = _now()
    elif not _DATE.fullmatch(date):
        return None
    return f"{name} <{email}> {date.removeprefix('@')}"


def _now() -> str:
    """Seconds since 1970, and the local time zone."""
    now = int(time.time())
    minutes = time.localtime(now).tm_gmtoff // 60
    return f"{now} {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
