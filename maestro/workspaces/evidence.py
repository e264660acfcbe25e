"""What is really in a workspace after its agent ended (A-3): the same for every kind, given its git directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from maestro.vcs.git import Git
from maestro.vcs.parse import GITLINK, Status, parse_raw_diff, parse_refs, printable
from maestro.workspaces.base import WorkEvidence, Workspace
from maestro.workspaces.leftovers import commit_leftovers, is_leftover, read_status
from maestro.workspaces.site import Identity


class Place(NamedTuple):
    """Git in a workspace, bound to its true git directory whatever `.git` in the files says."""

    git: Git
    git_dir: Path  # HEAD, index and log of this workspace
    refs_dir: Path  # branches: the user's repository for worktrees, else `git_dir`


class Gathered(NamedTuple):
    """The evidence, and commits that are not in its tip and would be lost when the branch moves there."""

    evidence: WorkEvidence
    beside: tuple[str, ...] = ()


def damaged(damage: str, remarks: list[str]) -> Gathered:
    """No work can be taken from the workspace."""
    return Gathered(
        WorkEvidence(
            tip=None,
            new_commits=0,
            changed_paths=(),
            committed_by_maestro=False,
            damage=damage,
            remarks=tuple(remarks),
        )
    )


def gather(place: Place, workspace: Workspace, message: str, author: Identity, remarks: list[str]) -> Gathered:
    """Commit leftovers and find the tip of the work."""
    git, git_dir = place.git, place.git_dir
    remarks += clear_locks(place, workspace.branch)
    status = read_status(git, workspace.repo)
    if (damage := unfinished(status, git_dir)) is not None:
        return damaged(damage, remarks)
    head, on_branch = status.oid, status.branch == workspace.branch
    if head is None:
        return damaged("HEAD is on a new branch without commits, apart from the base", remarks)
    nested = [entry.path for entry in status.entries if entry.is_nested_repository]
    remarks += [f"{printable(path)} is a git repository of its own: it is not part of the work" for path in nested]
    committed = False
    if any(is_leftover(entry) for entry in status.entries):
        if not on_branch and not _is_own(git, git_dir, head, workspace.base):
            where = status.branch or "a detached HEAD"
            return damaged(f"HEAD was moved to {where}, which is not this task's work, with uncommitted files", remarks)
        if not on_branch and status.branch is not None:
            git.run(
                "update-ref", "--no-deref", "HEAD", head
            )  # or the commit would move a branch of the user's, perhaps
        committed = commit_leftovers(git, workspace.repo, nested, message, author)
        head = (git.commit_of("HEAD") or head) if committed else head
    tip, beside = _tip(git, git_dir, workspace, head, status.branch, remarks)
    return _evidence(git, workspace, tip, committed, beside, remarks)


def clear_locks(place: Place, branch: str) -> list[str]:
    """Remove the lock files that a killed git left behind; nobody works in the workspace any more."""
    remarks = []
    branch_lock = f"{place.refs_dir}/refs/heads/{branch}.lock"
    for lock in (f"{place.git_dir}/index.lock", f"{place.git_dir}/HEAD.lock", branch_lock):
        if os.path.exists(lock):  # noqa: PTH110 - three for each task
            Path(lock).unlink(missing_ok=True)
            remarks.append(f"a git that was killed left {Path(lock).name} behind: it was removed")
    return remarks


def unfinished(status: Status, git_dir: Path) -> str | None:
    """What the agent left half done, where it cannot be taken for work."""
    unmerged = [printable(entry.path) for entry in status.entries if entry.kind == "u"]
    if unmerged:
        more = f" and {len(unmerged) - 3} more" if len(unmerged) > 3 else ""
        return f"a merge was left with unresolved conflicts in {', '.join(unmerged[:3])}{more}"
    if any(os.path.isdir(f"{git_dir}/{name}") for name in ("rebase-merge", "rebase-apply")):  # noqa: PTH112
        return "a rebase was left unfinished"
    return None


def _tip(
    git: Git, git_dir: Path, workspace: Workspace, head: str, branch: str | None, remarks: list[str]
) -> tuple[str, tuple[str, ...]]:
    """The commit the work ends in, and a rival that is not part of it."""
    base = workspace.base
    if branch == workspace.branch:
        return (head, ()) if head != base else (_stray(git, git_dir, base, remarks) or head, ())
    own = git.commit_of(f"refs/heads/{workspace.branch}")
    where = f"on branch {branch}" if branch else "on a detached HEAD"
    if head != base and _is_own(git, git_dir, head, base):
        if own is None or own == base or git.is_ancestor(own, head):
            remarks.append(f"its commits are {where}")
            return head, ()
        if git.is_ancestor(head, own):
            return own, ()
        remarks.append(f"its commits {where} were taken; {own[:12]} on {workspace.branch} is not part of them")
        return head, (own,)
    if own is not None and own != base:
        return own, ()
    return _stray(git, git_dir, base, remarks) or base, ()


def _is_own(git: Git, git_dir: Path, head: str, base: str) -> bool:
    """Whether HEAD's commit was made here, or is built on the base: not a branch of somebody else's."""
    if head == base:
        return True
    made = _commits_made(git_dir)
    return head in made if made else git.is_ancestor(base, head)


def _commits_made(git_dir: Path) -> list[str]:
    """Commits that HEAD's log says were made in this workspace, oldest first; empty where there is no log."""
    try:
        log = (git_dir / "logs" / "HEAD").read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    made = []
    for line in log.split("\n"):
        ids, _, action = line.partition("\t")
        if action.startswith(("commit", "merge", "cherry-pick", "revert", "rebase", "pull", "am")):
            made.append(ids.split(" ")[1])
    return made


def _stray(git: Git, git_dir: Path, base: str, remarks: list[str]) -> str | None:
    """The last commit made here that some branch still holds, though HEAD went back to the base."""
    for commit in reversed(_commits_made(git_dir)):
        found = git.run(
            "for-each-ref", f"--contains={commit}", "--format=%(objectname) %(refname)", "refs/heads", ok=(0, 129)
        )
        refs = parse_refs(found.stdout)
        if refs and not git.is_ancestor(commit, base):
            remarks.append(f"its commits are on branch {next(iter(refs)).removeprefix('refs/heads/')}")
            return commit
    return None


def _evidence(
    git: Git, workspace: Workspace, tip: str, committed: bool, beside: tuple[str, ...], remarks: list[str]
) -> Gathered:
    base = workspace.base
    if tip == base:
        return Gathered(
            WorkEvidence(
                tip=None, new_commits=0, changed_paths=(), committed_by_maestro=committed, remarks=tuple(remarks)
            )
        )
    diff, missing, new = _one_commit(git, base, tip), 0, 1
    if diff is None:
        missing, new = map(int, git.text("rev-list", "--count", "--left-right", f"{base}...{tip}").split("\t"))
        diff = git.changes_between(base, tip)
    if missing:
        if git.run("merge-base", base, tip, ok=(0, 1)).returncode == 1:
            return damaged("its commits share no history with the base", remarks)
        remarks.append(f"HEAD was moved off the base: {missing} of its commits are not in the work")
    changes = parse_raw_diff(diff)
    links = [change for change in changes if change.new_mode == GITLINK]
    for change in links:
        if change.old_mode != GITLINK and not _is_submodule(git, tip, change.path):
            path = printable(change.path)
            return damaged(f"it committed the git repository {path} as a bare link, without its files", remarks)
        remarks.append(f"submodule {printable(change.path)} is now at {change.new[:12]}")
    return Gathered(
        WorkEvidence(
            tip=tip if new else None,
            new_commits=new,
            changed_paths=tuple(printable(change.path) for change in changes) if new else (),
            committed_by_maestro=committed,
            remarks=tuple(remarks),
        ),
        beside,
    )


def _one_commit(git: Git, base: str, tip: str) -> bytes | None:
    """What a tip changed that is one commit right on the base, as most work is: one question tells all of it. None
    where it is something else, or changes nothing."""
    parents, diff = git.changes_of(tip)
    return diff if parents == base else None


def _is_submodule(git: Git, tip: str, path: str) -> bool:
    """Whether `.gitmodules` of the tip names the path."""
    done = git.run(
        "config", "--blob", f"{tip}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$", ok=(0, 1, 128)
    )
    return any(part.partition(b"\n")[2] == path.encode("utf-8", "surrogateescape") for part in done.stdout.split(b"\0"))
