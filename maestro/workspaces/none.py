"""No workspace of its own: the agent works in the user's checkout, one task at a time. The user's explicit wish.

The checkout must be clean. It is switched to the task's branch at the task's base; what the agent leaves is
committed there; then the user's branch is checked out again, where it was. Until then a marker beside keeps
what is needed to bring the user back, also after a crash: the next `create` or `maestro clean` does it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from maestro.errors import Busy, WorkspaceError
from maestro.vcs.git import Git
from maestro.workspaces.base import WorkEvidence, Workspace, WorkspaceSpec
from maestro.workspaces.environ import write_layout
from maestro.workspaces.evidence import Place
from maestro.workspaces.leftovers import read_status
from maestro.workspaces.lifecycle import Lifecycle
from maestro.workspaces.marker import Marker, read_marker, write_marker
from maestro.workspaces.removal import remove_tree
from maestro.workspaces.site import Site


class InPlace(Lifecycle):
    """The user's own checkout."""

    kind = "none"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        said = site.plain.run("rev-parse", "--absolute-git-dir").stdout
        self._git_dir = Path(os.fsdecode(said.removesuffix(b"\n")))
        self._lock: int | None = None

    def create(self, spec: WorkspaceSpec) -> Workspace:
        home = self.site.root / f"task-{spec.task_name}"
        self._take()
        try:
            self._bring_back_older()
            self._put_older_away(home)
            status = read_status(self.site.plain, self.site.top)
            if status.entries:
                raise WorkspaceError(
                    f"{self.site.top} has uncommitted changes, and --workspace none works in it",
                    hint="commit or stash them, or use --workspace worktree",
                )
            if (self._git_dir / "index.lock").exists():
                raise WorkspaceError(f"another git works in {self.site.top}", hint="wait until it has ended")
            marker = self._marker(spec, self.site.top).evolve(user_branch=status.branch, user_commit=status.oid)
            write_marker(home, marker)
            env = write_layout(self.site, spec, home, self.site.top)
            env.pop("GIT_CEILING_DIRECTORIES", None)
            self._check_out(spec, self.site.top)
        except BaseException:
            self._release()
            raise
        return Workspace(kind=self.kind, home=home, repo=self.site.top, base=spec.base, branch=spec.branch, env=env)

    def adopt(self, home: Path) -> Workspace | None:
        workspace = super().adopt(home)
        if workspace is None or not self._is_in_place(workspace):
            return None
        self._take()
        return workspace

    def collect(self, workspace: Workspace, message: str) -> WorkEvidence:
        evidence = super().collect(workspace, message)
        if evidence.damage is None:
            self._restore(workspace)
        return evidence

    def remove(self, workspace: Workspace, *, for_good: bool = False) -> None:
        """The checkout as it was before; what is in it beyond the task's branch is saved first, whoever wrote it."""
        del for_good
        if self._is_in_place(workspace):
            marker = _marker_of(workspace)
            self.save(workspace, marker.run_id, marker.task_name)
            self._take()
            self.site.plain.run("reset", "-q", "--hard")
            self.site.plain.run("clean", "-ffdq")
            self._restore(workspace)
        if read_marker(workspace.home) is not None:
            remove_tree(workspace.home)

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        self._claim_branch(spec)
        self._in_place().write_bytes(os.fsencode(self.site.root / f"task-{spec.task_name}"))
        git = self.site.plain.at(repo)
        git.run("checkout", "-q", "--no-recurse-submodules", spec.branch, "--")
        return git

    def _find(self, workspace: Workspace) -> Place | None:
        if not self._is_in_place(workspace):
            return None
        git = self.site.plain.at(workspace.repo, git_dir=self._git_dir, work_tree=workspace.repo)
        return Place(git, self._git_dir, self.site.common_dir)

    def _mend(self, workspace: Workspace) -> tuple[Place | None, list[str]]:
        return self._find(workspace), []

    def _remove_planted(self, place: Place, workspace: Workspace) -> None:
        """The git directory is the user's, and so may be the links in it."""

    def _forget(self, workspace: Workspace) -> None:
        """Nothing is known of it but the branch."""

    def _restore(self, workspace: Workspace) -> None:
        """Back to the user's branch. It is only moved where the agent moved it, and its work keeps those commits."""
        marker, git = _marker_of(workspace), self.site.plain
        if marker.user_commit is None:
            raise WorkspaceError(f"{workspace.home} does not say where {workspace.repo} was")
        if marker.user_branch is None:
            git.run("checkout", "-q", "--detach", marker.user_commit, "--")
        else:
            ref = f"refs/heads/{marker.user_branch}"
            now, work = git.commit_of(ref), git.commit_of(f"refs/heads/{workspace.branch}")
            if now != marker.user_commit and (now is None or (work is not None and git.is_ancestor(now, work))):
                git.run("checkout", "-q", "--detach")  # HEAD may be on the branch that is moved
                git.set_ref(ref, marker.user_commit, now)
            git.run("checkout", "-q", marker.user_branch, "--")
        self._in_place().unlink(missing_ok=True)
        self._release()

    def _in_place(self) -> Path:
        """Names the workspace that the checkout is lent to."""
        return self._git_dir / "maestro-in-place"

    def _is_in_place(self, workspace: Workspace) -> bool:
        try:
            return self._in_place().read_bytes() == os.fsencode(workspace.home)
        except FileNotFoundError:
            return False

    def _bring_back_older(self) -> None:
        """After a crash: the checkout is still lent to a task whose coordinator is gone."""
        try:
            home = Path(os.fsdecode(self._in_place().read_bytes()))
        except FileNotFoundError:
            return
        older = self.load(home)
        if older is None:
            raise WorkspaceError(
                f"{self.site.top} is lent to a task whose folder {home} is gone",
                hint=f"check out your branch, then remove {self._in_place()}",
            )
        self.remove(older)
        self._take()

    def _take(self) -> None:
        """Hold the checkout; a lock of the kernel, kept from create to the end, whichever thread ends it."""
        if self._lock is not None:
            return
        path = self.site.common_dir / "maestro" / "in-place.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise Busy(
                f"another task works in {self.site.top}", hint="--workspace none runs one task at a time"
            ) from None
        self._lock = fd

    def _release(self) -> None:
        if self._lock is not None:
            # closing alone would leave it to a child that is just being started by another thread, until it has begun
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None


def _marker_of(workspace: Workspace) -> Marker:
    marker = read_marker(workspace.home)
    if marker is None:
        raise WorkspaceError(f"{workspace.home} is not a workspace of maestro")
    return marker
