"""Worktrees: the default. All share the user's repository, so nothing has to be carried home.

Adding and removing worktrees at once fails on git 2.39 now and then ("failed to read …/commondir: Success"): both
are done under one lock, while the checkout, which costs most, is done outside of it. A worktree that was used is
handed out again where the site allows it; whatever speaks against that, the task gets a new one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from maestro.errors import GitError, WorkspaceError
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_worktrees
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.evidence import Place
from maestro.workspaces.lifecycle import Lifecycle, repository_lock
from maestro.workspaces.links import named_by, place_of, worktrees_of
from maestro.workspaces.parking import Parking, Pristine
from maestro.workspaces.recycling import NotRecyclable, check_out, destroy, hand_out, park, remember, settings_of
from maestro.workspaces.removal import remove_tree, set_aside
from maestro.workspaces.site import Site


class WorktreeWorkspaces(Lifecycle):
    """`git worktree`, with its git directory named in every call."""

    kind = "worktree"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._parking = Parking(site.parked)
        self._pristine: dict[Path, Pristine] = {}  # by home, of those handed out

    def remove(self, workspace: Workspace) -> None:
        pristine = self._pristine.pop(workspace.home, None)
        if pristine is not None and self._parking.reserve() and self._park(workspace, pristine):
            remove_tree(workspace.home)  # what is left of it
        else:
            super().remove(workspace)

    def close(self) -> None:
        waiting, errors = self._parking.close(), []
        for parked in waiting:
            try:
                destroy(self.site, parked.home, parked.pristine)
            except WorkspaceError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        return self._recycle(spec, repo) or self._make(spec, repo)

    def _park(self, workspace: Workspace, pristine: Pristine) -> bool:
        """Keep the files to be handed out again, if that is safe; whether they are out of the way."""
        try:
            parked = park(self.site, workspace, pristine)
        except (NotRecyclable, WorkspaceError, OSError):
            self._parking.give_back()
            return False
        if not self._parking.add(parked):
            destroy(self.site, parked.home, parked.pristine)
        return True

    def _recycle(self, spec: WorkspaceSpec, repo: Path) -> Git | None:
        """A used worktree, made as a new one would be; None where there is none that can."""
        parked = self._parking.take()
        if parked is None:
            return None
        try:
            git = hand_out(self.site, parked, repo)
            try:
                pristine = check_out(self.site, parked, spec, repo)
            except GitError:
                with repository_lock(self.site):
                    self._clear_the_way(spec, repo)
                pristine = check_out(self.site, parked, spec, repo)
        except (NotRecyclable, GitError, WorkspaceError, OSError):
            remove_tree(repo)
            destroy(self.site, parked.home, parked.pristine)
            self.site.git.run("update-ref", "-d", f"refs/heads/{spec.branch}", spec.base, ok=(0, 1, 128))
            return None
        self._pristine[repo.parent] = pristine
        return git

    def _make(self, spec: WorkspaceSpec, repo: Path) -> Git:
        settings = settings_of(self.site) if self.site.parked else ()
        with repository_lock(self.site):
            try:
                self._add(spec, repo)
            except GitError:
                self._clear_the_way(spec, repo)
                self._add(spec, repo)
            admin = named_by(repo / ".git")
        if admin is None:
            raise WorkspaceError(f"git made no worktree at {repo}")
        git = self.site.git.at(repo, git_dir=admin, work_tree=repo)
        git.run("read-tree", "-m", "-u", "HEAD")
        if self.site.parked:
            with suppress(OSError):  # a file system without hard links
                self._pristine[repo.parent] = remember(repo, admin, spec.base, settings)
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
        if named_by(link) == place.git_dir:
            return place, []
        remark = "its .git was gone: it was put back"
        if os.path.lexists(link):
            remark = "its .git was replaced: it was put back, and what was there is kept beside the workspace"
            set_aside(link, workspace.home)
        link.write_bytes(b"gitdir: " + os.fsencode(place.git_dir) + b"\n")
        return place, [remark]

    def _forget(self, workspace: Workspace) -> None:
        self._pristine.pop(workspace.home, None)
        with repository_lock(self.site):
            home = os.path.realpath(workspace.home)
            for admin, repo in worktrees_of(self.site.common_dir):
                # also those that an agent made inside its own workspace
                if repo.is_relative_to(home):
                    shutil.rmtree(admin, ignore_errors=True)

    def _admin(self, repo: Path) -> Path | None:
        """The git directory of the worktree at `repo`, by what the user's repository says, not the workspace."""
        common_dir, real = self.site.common_dir, Path(os.path.realpath(repo))  # git follows links in the root
        linked = named_by(repo / ".git")
        if linked is not None and linked.parent == common_dir / "worktrees" and place_of(linked) == real:
            return linked
        return next((admin for admin, place in worktrees_of(common_dir) if place == real), None)
