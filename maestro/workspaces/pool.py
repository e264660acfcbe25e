"""A pool of warm workspaces: one whose task is over is emptied and put aside, and the next task gets it (W-5).

Whatever speaks against that, the task gets a new one, and the old one is really removed. The pool is that of one run;
what is kept in a workspace (`keep`) so goes from task to task of that run, and no further.
"""

from __future__ import annotations

import shutil
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from maestro.errors import GitError, WorkspaceError
from maestro.vcs.git import Git
from maestro.workspaces.base import GATE_BENCH, Workspace, WorkspaceSpec
from maestro.workspaces.environ import excludes_file
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.marker import encode_path, read_marker, write_marker
from maestro.workspaces.parking import Parked, Parking, Pristine, new_place
from maestro.workspaces.recycling import (
    Cleared,
    NotRecyclable,
    bring,
    check,
    clear,
    drop_kept,
    drop_unignored,
    remember,
    settings_of,
)
from maestro.workspaces.relocating import mentions, relocate
from maestro.workspaces.removal import remove_tree, reopen
from maestro.workspaces.site import Site

_REMOVED_AT_ONCE = 4
_TROUBLE = (NotRecyclable, GitError, WorkspaceError, OSError)


def _is_bench(spec: WorkspaceSpec) -> bool:
    """Whether gates judge there: by the commit, and by no package that an agent put among what is kept."""
    return spec.task_name == GATE_BENCH


class Pool(Lifecycle):
    """A kind of workspaces whose files are used again; each adds what becomes of their git directory."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._parking = Parking(site.parked)
        self._pristine: dict[Path, Pristine] = {}  # by home, of those handed out

    # what a kind adds

    @abstractmethod
    def _make(self, spec: WorkspaceSpec, repo: Path) -> Git:
        """A new one, with a git directory of its own, on the branch; git in it."""

    @abstractmethod
    def _git_dir(self, repo: Path) -> Path:
        """That of a workspace just made."""

    @abstractmethod
    def _check_own(self, workspace: Workspace, pristine: Pristine) -> None:
        """NotRecyclable unless the git directory is of this workspace and all in it is known."""

    @abstractmethod
    def _strip(self, workspace: Workspace, pristine: Pristine) -> None:
        """Nothing stays of what git noted there; the index is the one that was kept."""

    @abstractmethod
    def _move(self, here: Path, there: Path, pristine: Pristine) -> Path:
        """Move the files; where the git directory is then."""

    @abstractmethod
    def _attach(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        """Let HEAD be on the new branch at the new base; index and files are there already."""

    def _before(self, git: Git, spec: WorkspaceSpec, repo: Path) -> None:
        """Bring in what the checkout needs."""

    def _unmake(self, spec: WorkspaceSpec) -> None:
        """Undo what `_attach` may have done before it failed, outside of the workspace."""

    @abstractmethod
    def _destroy(self, home: Path, git_dir: Path) -> None:
        """Really remove one that nobody works in."""

    # the Protocol

    def remove(self, workspace: Workspace, *, for_good: bool = False) -> None:
        pristine = self._pristine.pop(workspace.home, None)
        if pristine is not None and not for_good and self._parking.reserve() and self._park(workspace, pristine):
            remove_tree(workspace.home)  # what is left of it
        else:
            super().remove(workspace)

    def close(self) -> None:
        waiting = self._parking.close()
        if waiting:
            with ThreadPoolExecutor(min(len(waiting), _REMOVED_AT_ONCE)) as threads:
                gone = [threads.submit(self._destroy, parked.home, parked.git_dir) for parked in waiting]
            for each in gone:
                each.result()

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        settings = settings_of(self.site) if self.site.parked else ()
        git, cleared = self._recycle(spec, repo) or (self._make(spec, repo), None)
        if self.site.parked and settings_of(self.site) == settings:  # else it may have been made by either
            with suppress(OSError):  # a file system without hard links
                git_dir = self._git_dir(repo)
                self._pristine[repo.parent] = remember(repo, git_dir, spec.base, settings, cleared)
        return git

    def _park(self, workspace: Workspace, pristine: Pristine) -> bool:
        """Keep the files to be handed out again, if that is safe; whether they are out of the way."""
        try:
            parked = self._emptied(workspace, pristine)
        except _TROUBLE:
            self._parking.give_back()
            return False
        if not self._parking.add(parked):
            self._destroy(parked.home, parked.git_dir)
        return True

    def _emptied(self, workspace: Workspace, pristine: Pristine) -> Parked:
        site = self.site
        reopen(workspace.home, workspace.repo)
        marker = read_marker(workspace.home)
        if marker is None:
            raise NotRecyclable("its marker is gone")
        check(site, workspace, pristine)
        self._check_own(workspace, pristine)
        write_marker(workspace.home, marker.evolve(parked=True))  # from here on nobody's work is in it
        self._strip(workspace, pristine)
        cleared = clear(site, workspace.repo, pristine.git_dir, pristine)
        named = mentions(workspace.repo, cleared.kept)
        home = new_place(site.root)
        repo = home / site.name
        try:
            home.mkdir(mode=0o700)
            write_marker(home, marker.evolve(parked=True, repo=encode_path(repo)))
            git_dir = self._move(workspace.repo, repo, pristine)
        except OSError:
            self._destroy(home, pristine.git_dir)
            raise
        return Parked(home, repo, git_dir, pristine, cleared.layer, cleared.kept, named, workspace.repo)

    def _recycle(self, spec: WorkspaceSpec, repo: Path) -> tuple[Git, Cleared] | None:
        """A used workspace, made as a new one would be; None where there is none that can."""
        parked = self._parking.take()
        if parked is None:
            return None
        site, git_dir = self.site, parked.git_dir
        try:
            if settings_of(site) != parked.pristine.settings:
                raise NotRecyclable("the repository's configuration was changed")
            git_dir = self._move(parked.repo, repo, parked.pristine)
            shutil.rmtree(parked.home)
            git = site.git.at(repo, git_dir=git_dir, work_tree=repo)
            self._before(git, spec, repo)
            cleared = bring(site, repo, git_dir, parked, spec.base)
            self._attach(git, git_dir, spec, repo)
            bound = git.at(
                repo, git_dir=git_dir, work_tree=repo, config={"core.excludesFile": str(excludes_file(repo.parent))}
            )
            cleared = drop_kept(repo, cleared) if _is_bench(spec) else drop_unignored(bound, repo, cleared)
            relocate(repo, parked.mentions, parked.was_at)
        except _TROUBLE:
            remove_tree(repo)
            self._destroy(parked.home, git_dir)
            self._unmake(spec)
            return None
        return git, cleared
