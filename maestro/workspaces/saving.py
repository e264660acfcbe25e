"""Refs that keep unlanded work, refs/maestro/saved/<run>/<task>: only what contains the old may replace it (W-6)."""

from __future__ import annotations

from collections.abc import Sequence

from maestro.errors import GitError, WorkspaceError
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_refs
from maestro.workspaces.leftovers import commit_tree
from maestro.workspaces.site import Identity

SAVED = "refs/maestro/saved"

_REFUSED = 3
"""Refs that git could not lock though nobody had moved them: one may have a lock that was left behind, and beyond so
many no other will do either."""


def saved_ref(run_id: str, task_name: str) -> str:
    """The first ref that a task's work is saved under; later ones end in -2, -3 …"""
    return f"{SAVED}/{run_id}/{task_name}"


def save_commit(git: Git, run_id: str, task_name: str, commit: str) -> str:
    """Let a ref keep the commit; the ref. One that holds the same work already is used again."""
    first, refused = saved_ref(run_id, task_name), 0
    for number in range(1, 1000):
        ref = first if number == 1 else f"{first}-{number}"
        old = git.commit_of(ref)
        if old is not None and _holds(git, old, commit):
            return ref
        if old is None or git.is_ancestor(old, commit):
            if git.set_ref(ref, commit, old):
                return ref
            refused += git.commit_of(ref) == old
        if refused == _REFUSED:
            break
    raise WorkspaceError(f"work could not be saved under {first}", hint=f"remove some refs below {SAVED}/{run_id}")


def newest_saved(git: Git, run_id: str, task_name: str) -> str | None:
    """The last ref that a task's work was saved under; None where there is none."""
    first = saved_ref(run_id, task_name)
    refs = [ref for ref in saved_refs(git, run_id) if ref == first or ref.removeprefix(f"{first}-").isdigit()]
    return max(refs, key=lambda ref: int(ref[len(first) + 1 :] or 1), default=None)


def unlanded(git: Git, tips: Sequence[str], base: str) -> list[str]:
    """Those of the commits that are not in the base, without those that others contain."""
    distinct = list(dict.fromkeys(tips))
    new = [tip for tip in distinct if tip != base and not git.is_ancestor(tip, base)]
    if len(new) < 2:
        return new
    return git.text("merge-base", "--independent", *new).split("\n")


def saved_refs(git: Git, run_id: str | None = None) -> dict[str, str]:
    """ref → commit, of one run or of all."""
    under = f"{SAVED}/{run_id}/" if run_id else f"{SAVED}/"
    return parse_refs(git.run("for-each-ref", "--format=%(objectname) %(refname)", under).stdout)


def forget_saved(git: Git, ref: str, commit: str) -> bool:
    """Delete a saved ref that still holds the commit; False where it does not."""
    if not ref.startswith(f"{SAVED}/"):
        raise WorkspaceError(f"{ref} is not below {SAVED}")
    try:
        git.run("update-ref", "-d", ref, commit)
    except GitError as error:
        if "cannot lock ref" in error.output:
            return False
        raise
    return True


def bind(git: Git, tree: str, parents: Sequence[str], task_name: str, author: Identity) -> str:
    """One commit that holds the uncommitted files and all unlanded tips of a workspace."""
    message = f"Uncommitted work of {task_name}, saved by maestro\n"
    return commit_tree(git, tree, parents, message, author)


def _holds(git: Git, old: str, commit: str) -> bool:
    """Whether the saved commit contains the new one, or is the same files on the same parents."""
    if old == commit or git.is_ancestor(commit, old):
        return True
    shown = git.text("show", "-s", "--format=%T %P", old, commit).split("\n")
    return shown[0] == shown[1] and "saved by maestro" in git.text("show", "-s", "--format=%s", old)
