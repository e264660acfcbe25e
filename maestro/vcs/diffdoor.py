"""What commits change, told by one `git diff-tree --stdin` after another instead of a process for each.

A line that begins with no id is printed as it is, after all that came before: so the end of an answer is known by a
word that nobody else knows. An answer begins with the ids that were asked for, else it is to another question: of two
trees, of the beginning of an id that is too long, or of none where it is too short and comes back as it is. Where there
is none, or git says nothing of a commit, or ends, or nobody can be asked, a process for this one question says why.
"""

from __future__ import annotations

import secrets

from maestro.vcs import kept

RAW = ("-r", "-z", "--raw", "--no-renames", "--ignore-submodules=none")
"""The same in every worktree: the `.gitmodules` in its files and in its index have no say."""

_NAMED = ("--always", *RAW, "--pretty=format:%H:%P")


class DiffDoor(kept.Door):
    """Answers nothing while it is closed. A process takes parents that were named in one question for those of the
    commit from then on: so whoever names them needs a door for that alone."""

    command = ("diff-tree", "--stdin", *_NAMED)
    alone = ("diff-tree", *_NAMED)
    """What prints the same of one commit, see `parted`."""

    def __init__(self) -> None:
        super().__init__()
        self._end_of_answer = f"{secrets.token_hex(16)}\n".encode()

    def changes(self, commit: str, *parents: str) -> tuple[str, bytes] | None:
        """The ids of its parents with a space between, and what it changed against the only one, as `--raw -z` prints
        it. `parents` stand for its own ones."""
        if not all(map(kept.FULL_ID.fullmatch, (commit, *parents))):
            return None
        question = " ".join((commit, *parents)).encode() + b"\n" + self._end_of_answer
        with self._lock:
            said = self._ask(question, lambda said: said.endswith(self._end_of_answer))
            if said is None:
                return None
            answer = said.removesuffix(self._end_of_answer)
            named, its_parents, diff = parted(answer.removeprefix(b"\0"))  # a NUL parts it from the answer before
            if answer == said or named != commit or (parents and its_parents != " ".join(parents)):
                self._end()
                return None
        return its_parents, diff


def parted(answer: bytes) -> tuple[str, str, bytes]:
    """The id of a commit, those of its parents with a space between, and what it changed. No id of a commit where it is
    something else, as a line that came back."""
    ids, _, diff = answer.partition(b"\n")
    commit, _, parents = ids.decode("utf-8", "replace").rpartition(":")
    return commit, parents, diff
