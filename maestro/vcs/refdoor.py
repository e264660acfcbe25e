"""Refs moved one after another through one `git update-ref --stdin`, instead of a process for each.

Each move is a transaction of its own, sent whole and answered `start: ok`, `prepare: ok`, `commit: ok`. git ends at the
first that it refuses. It says `prepare: ok` before it changes anything, so a process that ended without these words has
changed nothing, and the caller asks again by a process for this one move, whose answer counts. Between two
moves it holds no lock; where we die, it meets the end of its input and ends too.
"""

from __future__ import annotations

import os

from maestro.errors import GitError
from maestro.vcs import kept

_PREPARED = b"start: ok\nprepare: ok\n"
_DONE = _PREPARED + b"commit: ok\n"
_SHARED = ("refs/heads/", "refs/maestro/")
"""Refs that are the same in all worktrees of a repository."""


class RefDoor(kept.Door):
    """Moves nothing while it is closed."""

    command = ("update-ref", "-m", "maestro", "--stdin", "-z")

    def move(self, ref: str, new: str, expected: str | None, *, follows: bool) -> bool:
        """Compare-and-swap of a ref (`expected` None: must not exist yet). True: done. False: nothing was changed, for
        whatever reason. GitError where git failed at changing it, or nobody knows whether it has.

        `follows`: where the ref stands for another one, that one is moved.
        """
        order = _order(ref, new, expected, follows)
        if order is None:
            return False
        with self._lock:
            said = self._ask(order, lambda said: len(said) >= len(_DONE))
            if said is None or said == _DONE:
                return said is not None
            words, code = self._end()
        if len(said) < len(_PREPARED) and _PREPARED.startswith(said):
            return False
        last = words.splitlines()[-1] if words else f"exit code {code}"
        raise GitError(f"git update-ref failed: {last}", output=words, returncode=code)


def _order(ref: str, new: str, expected: str | None, follows: bool) -> bytes | None:
    """The transaction in git's words; None for what does not fit, could be taken for something else, or is a worktree's
    own."""
    ids = (new,) if expected is None else (new, expected)
    if not ref.startswith(_SHARED) or "\0" in ref or not all(map(kept.FULL_ID.fullmatch, ids)):
        return None
    option = "" if follows else "option no-deref\0"
    change = f"create {ref}\0{new}\0" if expected is None else f"update {ref}\0{new}\0{expected}\0"
    order = os.fsencode(f"start\0{option}{change}prepare\0commit\0")
    return order if len(order) <= kept.AT_ONCE else None
