"""The life of a workspace, the same for every kind that has files of its own: made, collected, saved, removed."""

from __future__ import annotations

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from maestro.errors import GitError, MaestroError, WorkspaceError
from maestro.store.filelocks import locked
from maestro.vcs.git import COMPARES_ALL, Git
from maestro.vcs.planted import remove_links, remove_symbolic
from maestro.vcs.refs import tip_of
from maestro.workspaces.base import WorkEvidence, Workspace, WorkspaceSpec
from maestro.workspaces.environ import environment_of, exclude_paths, excludes_file, write_layout
from maestro.workspaces.evidence import Place, damaged, gather
from maestro.workspaces.leftovers import is_leftover, read_status, snapshot_tree
from maestro.workspaces.marker import Marker, decode_path, encode_path, is_empty, read_marker, write_marker
from maestro.workspaces.removal import remove_tree, reopen
from maestro.workspaces.saving import bind, newest_saved, save_commit, unlanded
from maestro.workspaces.setup import bring_in
from maestro.workspaces.site import Site
from maestro.workspaces.submodules import keep, populate

_NO_ROOM_BYTES = 1 << 18

_THREADS: dict[Path, threading.Lock] = {}
_THREADS_GUARD = threading.Lock()


@contextmanager
def repository_lock(site: Site) -> Iterator[None]:
    """Only one at a time changes the list of worktrees, among threads and processes.

    Threads queue on a lock of their own: waiting for the file lock is a poll.
    """
    with _THREADS_GUARD:
        threads = _THREADS.setdefault(site.lock, threading.Lock())
    with threads, locked(site.lock):
        yield


class Lifecycle(ABC):
    """What is the same for worktrees, clones and copies; each adds how its files come and go."""

    kind: str

    def __init__(self, site: Site) -> None:
        self.site = site

    # what a kind adds

    @abstractmethod
    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        """Make the files at the base, on the branch; git in them."""

    @abstractmethod
    def _find(self, workspace: Workspace) -> Place | None:
        """The workspace's true git directory, None where the agent destroyed it. Changes nothing."""

    @abstractmethod
    def _mend(self, workspace: Workspace) -> tuple[Place | None, list[str]]:
        """The same, after repairing what can be repaired, with remarks on it."""

    @abstractmethod
    def _forget(self, workspace: Workspace) -> None:
        """Undo what the user's repository knows of the workspace; its files are gone."""

    # what a kind with a repository of its own does otherwise

    def _bring_home(self, workspace: Workspace, place: Place, tip: str) -> None:
        """Make the user's repository hold the tip, and the branch there point to it."""
        if tip_of(self.site.git, workspace.branch) != tip:
            place.git.run("update-ref", "-m", "maestro: collect", f"refs/heads/{workspace.branch}", tip)

    def _tips(self, place: Place) -> list[str]:
        """HEAD's commit, then every other that nothing else keeps, all now objects of the user's repository."""
        head = place.git.commit_of("HEAD")
        return [head] if head else []

    def _remove_planted(self, place: Place, workspace: Workspace) -> None:
        """Nobody works in it any more, and what git writes from now on is to stay in there."""
        remove_links(place.git_dir)
        remove_symbolic(place.refs_dir, workspace.branch)

    def _reveal(self, workspace: Workspace, git_dir: Path) -> None:
        """Let git see all that was done to the files. GitError where that cannot be."""
        del workspace, git_dir  # it sees all by itself, but in a kind whose files were made to look older

    # the Protocol

    def warm(self, base: str, count: int, run_id: str) -> None:  # noqa: B027 - not every kind has something to do
        """None is made ahead but by a kind that says so."""

    def create(self, spec: WorkspaceSpec) -> Workspace:
        home = self.site.root / f"task-{spec.task_name}"
        repo = home / self.site.name
        self._put_older_away(home)
        try:
            write_marker(home, self._marker(spec, repo))  # first: whatever stands there is known to be ours
            env = write_layout(self.site, spec, home, repo)
            git = self._check_out(spec, repo)
            if (repo / ".gitmodules").is_file():
                populate(git, repo, self.site.common_dir)
            exclude_paths(home, bring_in(self.site.setup, self.site.git, self.site.top, git, repo))
        except (GitError, OSError) as error:
            full = _is_full(self.site.root)  # before what is there is removed again
            self._undo(home, repo, spec)
            said = error.message if isinstance(error, GitError) else f"{error.filename}: {error.strerror}"
            if full and isinstance(error, GitError):
                said = f"no space left on device ({said})"  # git does not always say so
            elif isinstance(error, GitError) and "unable to write" in error.output:
                # another workspace that failed for want of room may have given its own back by now
                said = f"the disk refused a write, most likely for no space left on device at that moment ({said})"
            hint = error.hint if isinstance(error, GitError) else "check the free space and the permissions there"
            raise WorkspaceError(
                f"the workspace of task {spec.task_id} could not be made: {said}", hint=hint
            ) from error
        except MaestroError:
            self._undo(home, repo, spec)
            raise
        return Workspace(kind=self.kind, home=home, repo=repo, base=spec.base, branch=spec.branch, env=env)

    def adopt(self, home: Path) -> Workspace | None:
        marker, workspace = read_marker(home), self.load(home)
        if marker is None or marker.parked or workspace is None:  # parked: a crash stopped it from being emptied
            return None
        return workspace if workspace.repo.is_dir() else None

    def collect(self, workspace: Workspace, message: str) -> WorkEvidence:
        reopen(workspace.home, workspace.repo)
        if not workspace.repo.is_dir():
            return damaged("its folder is gone", []).evidence
        try:
            place, remarks = self._mend(workspace)
            if place is None:
                return damaged("its git directory is gone", remarks).evidence
            self._remove_planted(place, workspace)
            self._reveal(workspace, place.git_dir)
            gathered = gather(self._bound(place, workspace), workspace, message, self.site.identity, remarks)
            if gathered.evidence.tip is not None:
                self._keep_beside(workspace, place, gathered.beside)
                self._bring_home(workspace, place, gathered.evidence.tip)
                self._keep_submodules(workspace)
        except GitError as error:
            return damaged(f"its repository cannot be read: {error.output or error.message}", []).evidence
        return gathered.evidence

    def save(self, workspace: Workspace, run_id: str, task_name: str) -> str | None:
        git = self.site.git
        reopen(workspace.home, workspace.repo)
        self._keep_submodules(workspace)
        tips, tree = self._contents(workspace)
        parents, start = unlanded(git, tips, workspace.base), tips[0] if tips else workspace.base
        if tree is not None:
            heads = [start, *(tip for tip in parents if tip != start and not git.is_ancestor(tip, start))]
            return save_commit(git, run_id, task_name, bind(git, tree, heads, task_name, self.site.identity))
        if not parents:
            return None
        if len(parents) == 1:
            return save_commit(git, run_id, task_name, parents[0])
        tree = git.text("rev-parse", f"{parents[0]}^{{tree}}")
        return save_commit(git, run_id, task_name, bind(git, tree, parents, task_name, self.site.identity))

    def reveal(self, workspace: Workspace) -> None:
        if (place := self._find(workspace)) is not None:
            self._reveal(workspace, place.git_dir)

    def saved(self, run_id: str, task_name: str) -> str | None:
        return newest_saved(self.site.git, run_id, task_name)

    def remove(self, workspace: Workspace, *, for_good: bool = False) -> None:
        del for_good  # a kind whose files are used again has something to say to that
        reopen(workspace.home)
        marker = read_marker(workspace.home)
        if marker is None and workspace.home.exists() and any(workspace.home.iterdir()):
            raise WorkspaceError(
                f"{workspace.home} is not a workspace of maestro: it was left alone",
                hint="look into it, remove it by hand",
            )
        remove_tree(workspace.home)
        self._forget(workspace)

    def close(self) -> None:  # noqa: B027 - not every kind has something to do
        """Nothing is kept but by a kind that says so."""

    def look(self, workspace: Workspace) -> tuple[list[str], bool]:
        """(commits the work ends in, whether there are uncommitted files); changes nothing that is seen."""
        tips, tree = self._contents(workspace)
        return tips, tree is not None

    def load(self, home: Path) -> Workspace | None:
        """The workspace in `home` as its marker tells, None where there is no marker."""
        marker = read_marker(home)
        if marker is None:
            return None
        repo = decode_path(marker.repo)
        env = dict(environment_of(self.site, home, repo))
        return Workspace(kind=marker.kind, home=home, repo=repo, base=marker.base, branch=marker.branch, env=env)

    # parts of the above

    def _marker(self, spec: WorkspaceSpec, repo: Path) -> Marker:
        return Marker(
            kind=self.kind,
            run_id=spec.run_id,
            task_id=spec.task_id,
            task_name=spec.task_name,
            attempt=spec.attempt,
            base=spec.base,
            branch=spec.branch,
            common_dir=encode_path(self.site.common_dir),
            repo=encode_path(repo),
        )

    def _put_older_away(self, home: Path) -> None:
        """An older workspace of the same task is saved, then removed."""
        if is_empty(home):
            return
        marker, older = read_marker(home), self.load(home)
        if marker is None or older is None or decode_path(marker.common_dir) != self.site.common_dir:
            raise WorkspaceError(
                f"{home} exists and is not a workspace of this repository", hint="choose another --workspace-root"
            )
        if not marker.parked:  # else it was being emptied, since nobody needed it any more
            self.save(older, marker.run_id, marker.task_name)
        self.remove(older)

    def _undo(self, home: Path, repo: Path, spec: WorkspaceSpec) -> None:
        """After a failure to make it: nothing stood in `home` before, so nothing is left there."""
        remove_tree(home)
        self._forget(Workspace(kind=self.kind, home=home, repo=repo, base=spec.base, branch=spec.branch, env={}))
        # only where it holds nothing yet
        self.site.git.run("update-ref", "-d", f"refs/heads/{spec.branch}", spec.base, ok=(0, 1, 128))

    def _claim_branch(self, spec: WorkspaceSpec) -> None:
        """Point the branch at the base, which it keeps from being collected as garbage; older work on it is saved."""
        git, ref = self.site.git, f"refs/heads/{spec.branch}"
        if git.set_ref(ref, spec.base, None):
            return
        tip = git.commit_of(ref)
        if tip is not None:
            self._save_branch(spec, tip)
        if tip is None or not git.set_ref(ref, spec.base, tip):
            raise WorkspaceError(
                f"branch {spec.branch} cannot be made", hint="is a branch of a part of its name there?"
            )

    def _save_branch(self, spec: WorkspaceSpec, tip: str) -> None:
        if unlanded(self.site.git, [tip], spec.base):
            save_commit(self.site.git, spec.run_id, spec.task_name, tip)

    def _bound(self, place: Place, workspace: Workspace) -> Place:
        """The same place: what maestro put into the files is ignored, and nothing that was done to them overlooked."""
        config = {"core.excludesFile": str(excludes_file(workspace.home)), **COMPARES_ALL}
        git = place.git.at(workspace.repo, git_dir=place.git_dir, work_tree=workspace.repo, config=config)
        return Place(git, place.git_dir, place.refs_dir)

    def _contents(self, workspace: Workspace) -> tuple[list[str], str | None]:
        """Every tip, HEAD's first, and the tree of the files where they are not those of the first."""
        place = self._find(workspace)
        if place is not None:
            self._remove_planted(place, workspace)
        tips = self._tips(place) if place is not None else []
        own = self.site.git.commit_of(f"refs/heads/{workspace.branch}")
        tips += [own] if own is not None and own not in tips else []
        return tips, self._uncommitted(workspace, place, tips[0] if tips else workspace.base)

    def _uncommitted(self, workspace: Workspace, place: Place | None, start: str) -> str | None:
        """Tree of the files as they are, None where they are just those of `start`; written into the user's objects."""
        if not workspace.repo.is_dir():
            return None
        nested: Sequence[str] = ()
        excludes = {"core.excludesFile": str(excludes_file(workspace.home))}
        here = self.site.git.at(workspace.repo, git_dir=self.site.common_dir, work_tree=workspace.repo, config=excludes)
        if place is not None:
            try:
                self._reveal(workspace, place.git_dir)
                status = read_status(self._bound(place, workspace).git, workspace.repo)
                nested = [entry.path for entry in status.entries if entry.is_nested_repository]
                if not nested and not any(is_leftover(entry) for entry in status.entries):
                    return None
            except GitError:
                nested = ()  # a broken index: all files are looked at
        tree = snapshot_tree(here, workspace.repo, start, nested)
        return None if tree == self.site.git.text("rev-parse", f"{start}^{{tree}}") else tree

    def _keep_submodules(self, workspace: Workspace) -> None:
        """What is in submodules lies in repositories of their own, which go with the workspace."""
        if (workspace.repo / ".gitmodules").is_file():
            keep(self.site.git, workspace.repo, self.site.common_dir, self.site.identity)

    def _keep_beside(self, workspace: Workspace, place: Place, beside: Sequence[str]) -> None:
        """Commits that the branch would lose when it is moved to the work."""
        marker = read_marker(workspace.home)
        for commit in beside if marker is not None else ():
            assert marker is not None
            self._bring_home(workspace, place, commit)
            save_commit(self.site.git, marker.run_id, marker.task_name, commit)


def _is_full(folder: Path) -> bool:
    """Whether the disk has next to no room left."""
    return shutil.disk_usage(folder).free < _NO_ROOM_BYTES
