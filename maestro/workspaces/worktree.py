"""Worktrees: the default. All share the user's repository, so nothing has to be carried home.

Adding and removing worktrees at once fails on git 2.39 now and then ("failed to read …/commondir: Success"): both
are done under one lock, while the checkout, which costs most, is done outside of it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from maestro.errors import GitError, WorkspaceError
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_worktrees
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.evidence import Place
from maestro.workspaces.lifecycle import Lifecycle, repository_lock
from maestro.workspaces.removal import set_aside


class WorktreeWorkspaces(Lifecycle):
    """`git worktree`, with its git directory named in every call."""

    kind = "worktree"

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        with repository_lock(self.site):
            try:
                self._add(spec, repo)
            except GitError:
                self._clear_the_way(spec, repo)
                self._add(spec, repo)
            admin = _named_by(repo / ".git")
        if admin is None:
            raise WorkspaceError(f"git made no worktree at {repo}")
        git = self.site.git.at(repo, git_dir=admin, work_tree=repo)
        git.run("read-tree", "-m", "-u", "HEAD")
        return git

    def _add(self, spec: WorkspaceSpec, repo: Path) -> None:
        self.site.git.run(
            "worktree", "add", "-q", "--no-checkout", "--no-track", "-b", spec.branch, str(repo), spec.base
        )

    def _clear_the_way(self, spec: WorkspaceSpec, repo: Path) -> None:
        """An earlier attempt's branch and a worktree whose files are gone; saved first, removed then."""
        git = self.site.git
        if (admin := self._admin(repo)) is not None and not repo.exists():
            shutil.rmtree(admin)
        ref = f"refs/heads/{spec.branch}"
        tip = git.commit_of(ref)
        if tip is None:
            return
        for entry in parse_worktrees(git.run("worktree", "list", "--porcelain", "-z").stdout):
            if entry.branch == ref and Path(entry.path).exists():
                raise WorkspaceError(f"branch {spec.branch} is checked out at {entry.path}")
        self._save_branch(spec, tip)
        git.run("update-ref", "-d", ref, tip)

    def _find(self, workspace: Workspace) -> Place | None:
        admin = self._admin(workspace.repo)
        if admin is None or not workspace.repo.is_dir():
            return None
        git = self.site.git.at(workspace.repo, git_dir=admin, work_tree=workspace.repo)
        return Place(git, admin, self.site.common_dir)

    def _mend(self, workspace: Workspace) -> tuple[Place | None, list[str]]:
        place = self._find(workspace)
        if place is None:
            return None, []
        link = workspace.repo / ".git"
        if _named_by(link) == place.git_dir:
            return place, []
        remark = "its .git was gone: it was put back"
        if os.path.lexists(link):
            remark = "its .git was replaced: it was put back, and what was there is kept beside the workspace"
            set_aside(link, workspace.home)
        link.write_bytes(b"gitdir: " + os.fsencode(place.git_dir) + b"\n")
        return place, [remark]

    def _bring_home(self, workspace: Workspace, place: Place, tip: str) -> None:
        ref = f"refs/heads/{workspace.branch}"
        if place.git.commit_of(ref) != tip:
            place.git.run("update-ref", "-m", "maestro: collect", ref, tip)

    def _tips(self, place: Place) -> list[str]:
        head = place.git.commit_of("HEAD")
        return [head] if head else []

    def _forget(self, workspace: Workspace) -> None:
        with repository_lock(self.site):
            for admin, repo in self._admins():
                # also those that an agent made inside its own workspace
                if repo == workspace.repo or repo.is_relative_to(workspace.home):
                    shutil.rmtree(admin, ignore_errors=True)

    def _admin(self, repo: Path) -> Path | None:
        """The git directory of the worktree at `repo`, by what the user's repository says, not the workspace."""
        linked = _named_by(repo / ".git")
        if linked is not None and linked.parent == self.site.common_dir / "worktrees" and _place_of(linked) == repo:
            return linked
        return next((admin for admin, place in self._admins() if place == repo), None)

    def _admins(self) -> list[tuple[Path, Path]]:
        folder = self.site.common_dir / "worktrees"
        try:
            admins = list(folder.iterdir())
        except OSError:
            return []
        pairs = [(admin, _place_of(admin)) for admin in admins]
        return [(admin, place) for admin, place in pairs if place is not None]


def _named_by(link: Path) -> Path | None:
    """The git directory that a `.git` file names, None where it is none or names nothing that exists."""
    try:
        if link.is_symlink():
            return None
        said = link.read_bytes()
    except OSError:
        return None
    if not said.startswith(b"gitdir: "):
        return None
    named = Path(os.fsdecode(said[8:].rstrip(b"\r\n")))
    return named if named.is_dir() else None


def _place_of(admin: Path) -> Path | None:
    """Where the files of the worktree with this git directory are."""
    try:
        return Path(os.fsdecode((admin / "gitdir").read_bytes().rstrip(b"\r\n"))).parent
    except OSError:
        return None
