"""What branches point to, read without a process where git keeps them in files of their own.

A branch that was just moved is such a file below the common git directory, replaced whole, and weighs more than what
`packed-refs` says. Whatever is not just that, such as a packed branch, a symbolic one or another way of keeping refs,
is git's to answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from maestro.vcs.git import Git
from maestro.vcs.parse import parse_refs

_ID = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")


def tip_of(git: Git, branch: str) -> str | None:
    """The commit of a local branch, None where there is none. The object is not looked at."""
    return _loose(git, branch) or git.commit_of(f"refs/heads/{branch}")


def tips_of(git: Git, branches: Iterable[str]) -> dict[str, str]:
    """The commits of those branches that there are; one process at most."""
    found = {branch: _loose(git, branch) for branch in branches}
    missing = [f"refs/heads/{branch}" for branch, tip in found.items() if tip is None]
    if missing:
        said = git.run("for-each-ref", "--format=%(objectname) %(refname)", *missing).stdout
        found |= {ref.removeprefix("refs/heads/"): tip for ref, tip in parse_refs(said).items() if ref in missing}
    return {branch: tip for branch, tip in found.items() if tip is not None}


def _loose(git: Git, branch: str) -> str | None:
    try:
        content = (git.common_dir() / "refs" / "heads" / branch).read_bytes()
    except OSError:
        return None
    return content[:-1].decode() if _ID.fullmatch(content) else None
