"""What commits change, told by one `git diff-tree --stdin` after another instead of a process for each.

A line that begins with no id is printed as it is, after all that came before: so the end of an answer is known by a
word that nobody else knows. Where git says nothing of a commit, or ends, or nobody can be asked, there is no answer
here, and a process for this one question says why.
"""

from __future__ import annotations

import re
import secrets

from maestro.vcs import kept

RAW = ("-r", "-z", "--raw", "--no-renames")
PARENTS = "--pretty=format:%P"

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class DiffDoor(kept.Door):
    """Answers nothing while it is closed. A process takes parents that were named in one question for those of the
    commit from then on: so whoever names them needs a door for that alone."""

    command = ("diff-tree", "--stdin", "--always", *RAW, PARENTS)

    def __init__(self) -> None:
        super().__init__()
        self._end_of_answer = f"{secrets.token_hex(16)}\n".encode()

    def changes(self, commit: str, *parents: str) -> tuple[str, bytes] | None:
        """The ids of its parents with a space between, and what it changed against the only one, as `--raw -z` prints
        it. `parents` stand for its own ones."""
        if not all(map(_ID.fullmatch, (commit, *parents))):
            return None
        question = " ".join((commit, *parents)).encode() + b"\n" + self._end_of_answer
        with self._lock:
            said = self._ask(question, lambda said: said.endswith(self._end_of_answer))
            if said is None:
                return None
            answer = said.removesuffix(self._end_of_answer)
            if not answer or answer == said:
                self._end()
                return None
        named, _, diff = answer.removeprefix(b"\0").partition(b"\n")  # a NUL parts it from the answer before
        return named.decode(), diff
