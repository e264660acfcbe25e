"""A pool of warm workspaces: one whose task is over is emptied and put aside, and the next task gets it (W-5).

Whatever speaks against that, the task gets a new one, and the old one is really removed. The pool is that of one run;
what is kept in a workspace (`keep`) so goes from task to task of that run, and no further.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from maestro.errors import GitError, WorkspaceError
from maestro.vcs.git import Git
from maestro.workspaces.base import GATE_BENCH, Workspace, WorkspaceSpec
from maestro.workspaces.environ import excludes_file
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.marker import MARKER_FILE, encode_path, read_marker, write_marker
from maestro.workspaces.parking import Parked, Parking, Pristine, new_place
from maestro.workspaces.recycling import (
    Cleared,
    NotRecyclable,
    bring,
    check,
    clear,
    drop_kept,
    drop_unignored,
    layer_of,
    remember,
    settings_of,
)
from maestro.workspaces.relocating import mentions, relocate
from maestro.workspaces.removal import remove_tree, reopen
from maestro.workspaces.revealing import known_layer, make_older, reveal
from maestro.workspaces.site import Site
from maestro.workspaces.tracked import IndexReader
from maestro.workspaces.warming import Warming

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
        self._warming = Warming(self._parking, self._unmake_loose)
        self._pristine: dict[Path, Pristine] = {}  # by home, of those handed out
        self._seen_through: set[Path] = set()  # homes in which git sees all that is done
        self._first_ns: dict[Path, int] = {}  # by home, when that was first asked
        self._indexes = IndexReader()

    # what a kind adds

    @abstractmethod
    def _make(self, spec: WorkspaceSpec, repo: Path) -> Git:
        """A new one, with a git directory of its own, on the branch; git in it."""

    def _make_loose(self, base: str, repo: Path) -> None:
        """The same on no branch, for a kind that `warm` is for."""

    @abstractmethod
    def _git_dir(self, repo: Path) -> Path:
        """That of a workspace just made."""

    @abstractmethod
    def _check_own(self, workspace: Workspace, pristine: Pristine) -> None:
        """NotRecyclable unless the git directory is of this workspace and all in it is known."""

    @abstractmethod
    def _strip(self, repo: Path, git_dir: Path, branch: str, pristine: Pristine) -> None:
        """Nothing stays of what git noted there; the index is the one that was kept."""

    @abstractmethod
    def _move(self, here: Path, there: Path, git_dir: Path) -> Path:
        """Move the files; where the git directory is then."""

    @abstractmethod
    def _attach(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        """Let HEAD be on the new branch at the new base; index and files are there already."""

    @abstractmethod
    def _before(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        """Bring in what the checkout needs, and make `.git` such that the next agent finds its git directory."""

    def _unmake(self, spec: WorkspaceSpec) -> None:
        """Undo what `_attach` may have done before it failed, outside of the workspace."""

    @abstractmethod
    def _destroy(self, home: Path, git_dir: Path) -> None:
        """Really remove one that nobody works in."""

    # the Protocol

    def remove(self, workspace: Workspace, *, for_good: bool = False) -> None:
        pristine = self._pristine.pop(workspace.home, None)
        self._seen_through.discard(workspace.home)
        self._first_ns.pop(workspace.home, None)
        if pristine is not None and not for_good and self._parking.reserve() and self._park(workspace, pristine):
            remove_tree(workspace.home)  # what is left of it
        else:
            super().remove(workspace)

    def close(self) -> None:
        waiting = self._parking.close()
        self._warming.end()
        if waiting:
            with ThreadPoolExecutor(min(len(waiting), _REMOVED_AT_ONCE)) as threads:
                gone = [threads.submit(self._destroy, parked.home, parked.git_dir) for parked in waiting]
            for each in gone:
                each.result()

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        if not self.site.parked:
            return self._make(spec, repo)
        settings = settings_of(self.site)
        recycled = self._recycle(spec, repo, settings)
        if recycled is None:
            git, cleared = self._make(spec, repo), None
            git_dir = self._git_dir(repo)
            make_older(self.site, repo, git_dir)
        else:
            git, git_dir, cleared = recycled
        if settings_of(self.site) == settings:  # else it may have been made by either
            with suppress(OSError):  # a file system without hard links
                self._pristine[repo.parent] = remember(repo, git_dir, spec.base, settings, cleared)
        return git

    def _reveal(self, workspace: Workspace, git_dir: Path) -> None:
        home = workspace.home
        if home in self._seen_through:
            return
        pristine, first_ns = self._pristine.get(home), self._first_ns.setdefault(home, time.time_ns())
        try:  # one that an earlier coordinator made is not known here
            if pristine is not None and pristine.layer is None:
                pristine = replace(pristine, layer=known_layer(self.site, git_dir, pristine, self._indexes))
                self._pristine[home] = pristine
            if reveal(workspace.repo, git_dir, pristine, first_ns):
                self._seen_through.add(home)
        except NotRecyclable:
            self._seen_through.add(home)  # its files are as git made them
        except OSError as error:
            raise GitError(f"{error.filename}: {error.strerror}") from error

    def _park(self, workspace: Workspace, pristine: Pristine) -> bool:
        """Keep the files to be handed out again, if that is safe; whether they are out of the way."""
        home = new_place(self.site.root)
        try:
            parked = self._emptied(workspace, pristine, home)
        except _TROUBLE:
            self._parking.give_back()
            if os.path.lexists(home / self.site.name):
                self._destroy(home, pristine.git_dir)
            else:
                remove_tree(home)
            return False
        if not self._parking.add(parked):
            self._destroy(parked.home, parked.git_dir)
        return True

    def _emptied(self, workspace: Workspace, pristine: Pristine, home: Path) -> Parked:
        """Out of the way first: whatever still writes to where the files were misses them."""
        site = self.site
        reopen(workspace.home, workspace.repo)
        marker = read_marker(workspace.home)
        if marker is None:
            raise NotRecyclable("its marker is gone")
        check(site, workspace, pristine)
        self._check_own(workspace, pristine)
        repo = home / site.name
        marker = marker.evolve(parked=True, repo=encode_path(repo))
        write_marker(workspace.home, marker)  # from here on nobody's work is in it
        write_marker(home, marker)
        git_dir = self._move(workspace.repo, repo, pristine.git_dir)
        self._strip(repo, git_dir, workspace.branch, pristine)
        cleared = clear(site, repo, git_dir, pristine, self._indexes)
        named = mentions(repo, cleared.kept, workspace.repo)
        return Parked(home, repo, git_dir, pristine, cleared.layer, cleared.kept, named, workspace.repo)

    def _made_ahead(self, home: Path, base: str, run_id: str) -> Parked:
        """A new one where used ones wait, as they are: marked first, and of no branch."""
        site, repo = self.site, home / self.site.name
        spec = WorkspaceSpec(run_id=run_id, task_id="", task_name="", attempt=0, base=base, branch="")
        write_marker(home, self._marker(spec, repo).evolve(parked=True))
        settings = settings_of(site)
        self._make_loose(base, repo)
        git_dir = self._git_dir(repo)
        make_older(site, repo, git_dir)
        pristine = remember(repo, git_dir, base, settings, None)
        if settings_of(site) != settings:
            raise NotRecyclable("the repository's configuration was changed")
        self._strip(repo, git_dir, "", pristine)
        return Parked(home, repo, git_dir, pristine, None, (), (), repo)

    def _unmake_loose(self, home: Path) -> None:
        remove_tree(home)
        self._forget(Workspace(kind=self.kind, home=home, repo=home / self.site.name, base="", branch="", env={}))

    def _recycle(
        self, spec: WorkspaceSpec, repo: Path, settings: tuple[bytes | None, ...]
    ) -> tuple[Git, Path, Cleared | None] | None:
        """A workspace that waits, made as a new one would be, and its git directory; None where there is none that can.
        What is known of its files is None where nobody has worked in it."""
        parked = self._parking.take()
        if parked is None:
            return None
        site, git_dir = self.site, parked.git_dir
        try:
            if settings != parked.pristine.settings:
                raise NotRecyclable("the repository's configuration was changed")
            git_dir = self._move(parked.repo, repo, git_dir)
            (parked.home / MARKER_FILE).unlink()
            parked.home.rmdir()
            git = site.git.at(repo, git_dir=git_dir, work_tree=repo)
            self._before(git, git_dir, spec, repo)
            cleared = self._brought(repo, git_dir, parked, spec.base)
            self._attach(git, git_dir, spec, repo)
            if cleared is None:
                return git, git_dir, None
            if _is_bench(spec):
                cleared = drop_kept(repo, cleared)
            elif cleared.kept:
                excludes = {"core.excludesFile": str(excludes_file(repo.parent))}
                bound = git.at(repo, git_dir=git_dir, work_tree=repo, config=excludes)
                cleared = drop_unignored(bound, repo, cleared)
            relocate(repo, parked.mentions, parked.was_at)
        except _TROUBLE:
            remove_tree(repo)
            self._destroy(parked.home, git_dir)
            self._unmake(spec)
            return None
        return git, git_dir, cleared

    def _brought(self, repo: Path, git_dir: Path, parked: Parked, base: str) -> Cleared | None:
        if parked.layer is None and parked.pristine.base == base:
            return None
        layer = parked.layer or layer_of(self.site, git_dir / "index", self._indexes)
        return bring(self.site, repo, git_dir, parked, layer, base)
