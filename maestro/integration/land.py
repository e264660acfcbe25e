"""Builds landing commits and moves branches, by git's plumbing only: no checkout, nothing of the user's touched.

One landing by `merge` costs one git process, merge-tree. Its commit is written, and the branch moved by `advance`, by
processes that are kept for that (`vcs/commitdoor.py`, `vcs/refdoor.py`). Ids are full ids, so that nothing has to be
resolved. All functions block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, assert_never

from maestro.errors import GitError
from maestro.integration.conflicts import MERGE_TREE, Merged, parse_merge_tree
from maestro.integration.identity import identity
from maestro.integration.message import Work, landing_message, replayed_message
from maestro.integration.strategy import Strategy
from maestro.model.conflict import Conflict
from maestro.vcs.git import Git


class Stacked(NamedTuple):
    """A landing commit that exists as an object; no ref points to it yet."""

    task: str
    commit: str
    tree: str
    onto: str  # the tip it stands on
    work: str  # the work's own last commit


class Empty(NamedTuple):
    """The work changes nothing on this tip: its content is there already."""

    task: str
    tip: str
    tree: str


def stack(
    git: Git,
    tip: str,
    work: Work,
    strategy: Strategy = Strategy.MERGE,
    *,
    tip_tree: str | None = None,
    author: Mapping[str, str] | None = None,
) -> Stacked | Conflict | Empty:
    """The landing commit of `work` on `tip`. `tip_tree` and `author` (see `identity`) save a process each."""
    tree = tip_tree or tree_of(git, tip)
    env = identity(git) if author is None else author
    match strategy:
        case Strategy.MERGE:
            return _merge(git, tip, tree, work, env)
        case Strategy.SQUASH:
            return _merge(git, tip, tree, work, env, squashed=True)
        case Strategy.REBASE:
            return _rebase(git, tip, tree, work, env)
        case _:
            assert_never(strategy)


def tree_of(git: Git, commit: str) -> str:
    """Full id of a commit's tree."""
    return git.text("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")


def merge(git: Git, ours: str, theirs: str) -> Merged | Conflict:
    """Merge two commits in the object database. Histories without a common commit are a conflict without paths."""
    done = git.run(*MERGE_TREE, "--end-of-options", ours, theirs, ok=(0, 1, 128))
    if done.returncode != 128 and done.stdout:
        merged = parse_merge_tree(done.stdout, done.returncode, ours=ours, theirs=theirs, base=None)
        if isinstance(merged, Merged):
            return merged
        base = git.run("merge-base", "--end-of-options", ours, theirs, ok=(0, 1)).stdout.decode().strip()
        return merged.evolve(base=base or None)
    said = done.stderr.decode("utf-8", "replace").strip()
    if "unrelated histories" in said:
        return Conflict(
            paths=(), ours=ours, theirs=theirs, base=None, messages=("the histories have no common commit",)
        )
    raise GitError(f"git merge-tree failed: {said}", output=said, returncode=done.returncode)


def _merge(
    git: Git, tip: str, tip_tree: str, work: Work, env: Mapping[str, str], *, squashed: bool = False
) -> Stacked | Conflict | Empty:
    """One commit with the merged tree; squashed, it has the tip as its only parent and the author of the work."""
    merged = merge(git, tip, work.commit)
    if isinstance(merged, Conflict):
        return merged
    if merged.tree == tip_tree:
        return Empty(task=work.task, tip=tip, tree=tip_tree)
    parents: tuple[str, ...] = (tip, work.commit)
    author = env
    if squashed:
        parents, author = (tip,), {**env, **_commits(git, "--no-walk", work.commit)[-1].author()}
    commit = _commit(git, merged.tree, parents, landing_message(work), author)
    return Stacked(task=work.task, commit=commit, tree=merged.tree, onto=tip, work=work.commit)


def _rebase(git: Git, tip: str, tip_tree: str, work: Work, env: Mapping[str, str]) -> Stacked | Conflict | Empty:
    """Each new commit replayed in order; one that changes nothing any more is left out.

    Work that holds merge commits is squashed: replaying it commit by commit would lose what they resolved.
    """
    commits = _commits(git, "--reverse", "--topo-order", f"{work.base}..{work.commit}")
    if any(len(commit.parents) != 1 for commit in commits):
        return _merge(git, tip, tip_tree, work, env, squashed=True)
    top, tree = tip, tip_tree
    for commit in commits:
        picked = _pick(git, top, tree, commit)
        if isinstance(picked, Conflict):
            return picked
        if picked.tree != tree:
            message = replayed_message(commit.message, work)
            top = _commit(git, picked.tree, (top,), message, {**env, **commit.author()})
            tree = picked.tree
    if top == tip:
        return Empty(task=work.task, tip=tip, tree=tip_tree)
    return Stacked(task=work.task, commit=top, tree=tree, onto=tip, work=work.commit)


class _Commit(NamedTuple):
    """What replaying needs of a commit."""

    id: str
    tree: str
    parents: tuple[str, ...]
    name: str
    email: str
    date: str  # "seconds zone"; git takes small numbers for a date only after an @
    message: str

    def author(self) -> dict[str, str]:
        """Its author and date; git refuses an empty name, then the committer stands in."""
        named = {"GIT_AUTHOR_NAME": self.name, "GIT_AUTHOR_EMAIL": self.email} if self.name else {}
        return {**named, "GIT_AUTHOR_DATE": f"@{self.date}"}


def _commits(git: Git, *selection: str) -> list[_Commit]:
    shown = git.run("log", "-z", "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%B", "--date=raw", *selection, "--")
    fields = shown.stdout.decode("utf-8", "replace").split("\0")
    rows = [fields[at : at + 7] for at in range(0, len(fields) - 6, 7)]
    return [
        _Commit(
            id=row[0],
            tree=row[1],
            parents=tuple(row[2].split()),
            name=row[3],
            email=row[4],
            date=row[5],
            message=row[6],
        )
        for row in rows
    ]


def _pick(git: Git, tip: str, tip_tree: str, commit: _Commit) -> Merged | Conflict:
    """The tree of `commit` picked onto a tip.

    `merge-tree --merge-base` came with git 2.40; on older ones three commits made for the occasion give the
    merge the base it needs: the commit's parent tree under both sides.
    """
    fixed = {
        "GIT_AUTHOR_NAME": "maestro", "GIT_AUTHOR_EMAIL": "maestro@localhost", "GIT_AUTHOR_DATE": "@0 +0000",
        "GIT_COMMITTER_NAME": "maestro", "GIT_COMMITTER_EMAIL": "maestro@localhost", "GIT_COMMITTER_DATE": "@0 +0000",
    }  # fmt: skip
    parent = commit.parents[0]
    base = _commit(git, f"{parent}^{{tree}}", (), "base", fixed)
    ours = _commit(git, tip_tree, (base,), "ours", fixed)
    theirs = _commit(git, commit.tree, (base,), "theirs", fixed)
    merged = merge(git, ours, theirs)
    if isinstance(merged, Conflict):
        words = (words.replace(ours, tip).replace(theirs, commit.id) for words in merged.messages)
        return merged.evolve(ours=tip, theirs=commit.id, base=parent, messages=tuple(words))
    return merged


def _commit(git: Git, tree: str, parents: tuple[str, ...], message: str, env: Mapping[str, str]) -> str:
    return git.commit(tree, parents, message.encode("utf-8", "replace"), env)
