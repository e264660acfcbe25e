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
from maestro.workspaces.anew import write_anew
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.evidence import Place
from maestro.workspaces.lifecycle import repository_lock
from maestro.workspaces.links import move_link, named_by, place_of, worktrees_below, worktrees_of
from maestro.workspaces.parking import Pristine
from maestro.workspaces.pool import Pool
from maestro.workspaces.recycling import KEPT_INDEX, NotRecyclable
from maestro.workspaces.removal import remove_tree, set_aside

_STAYS = frozenset({"HEAD", "commondir", "gitdir", "index", KEPT_INDEX})
_COMMON = b"../..\n"
_GOES = frozenset({"ORIG_HEAD", "FETCH_HEAD", "COMMIT_EDITMSG", "logs", "refs"})


class WorktreeWorkspaces(Pool):
    """`git worktree`, with its git directory named in every call."""

    kind = "worktree"

    def _make(self, spec: WorkspaceSpec, repo: Path) -> Git:
        with repository_lock(self.site):
            try:
                self._add(spec, repo)
            except GitError:
                self._clear_the_way(spec, repo)
                self._add(spec, repo)
            admin = named_by(repo / ".git")
        return self._fill(repo, admin)

    def warm(self, base: str, count: int, run_id: str) -> None:
        site = self.site
        # the files of such a repository are never used again: they are not known by the index alone
        if not site.config and not (site.top / ".gitmodules").exists():
            self._warming.begin(site.root, count, lambda home: self._made_ahead(home, base, run_id))

    def _make_loose(self, base: str, repo: Path) -> None:
        with repository_lock(self.site):
            self.site.git.run("worktree", "add", "-q", "--no-checkout", "--detach", str(repo), base)
            admin = named_by(repo / ".git")
        self._fill(repo, admin)

    def _fill(self, repo: Path, admin: Path | None) -> Git:
        if admin is None:
            raise WorkspaceError(f"git made no worktree at {repo}")
        git = self.site.git.at(repo, git_dir=admin, work_tree=repo)
        git.run("read-tree", "-m", "-u", "HEAD")
        return git

    def _git_dir(self, repo: Path) -> Path:
        admin = named_by(repo / ".git")
        assert admin is not None
        return admin

    def _check_own(self, workspace: Workspace, pristine: Pristine) -> None:
        admin, repo = pristine.git_dir, workspace.repo
        if named_by(repo / ".git") != admin:
            raise NotRecyclable("its .git is gone or was replaced")
        if (admin / "commondir").read_bytes() != _COMMON or place_of(admin) != Path(os.path.realpath(repo)):
            raise NotRecyclable("its git directory belongs to another worktree")
        there = set(os.listdir(admin))  # noqa: PTH208 - the names are enough
        unknown = there - _STAYS - _GOES
        if unknown or ("refs" in there and any(names for _, _, names in os.walk(admin / "refs"))):  # of a bisection
            raise NotRecyclable(f"unfinished or unknown in its git directory: {unknown}")

    def _strip(self, repo: Path, git_dir: Path, branch: str, pristine: Pristine) -> None:
        """Back to the former base, and nothing of what git noted there since."""
        del repo, branch  # only its git directory is meant, which is elsewhere
        for name in _GOES.intersection(os.listdir(git_dir)):  # noqa: PTH208 - the names are enough
            path = git_dir / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        git_dir.chmod(pristine.folder_mode)
        write_anew(f"{git_dir}/commondir", _COMMON)  # it might have another name
        os.replace(f"{git_dir}/{KEPT_INDEX}", f"{git_dir}/index")  # noqa: PTH105
        _write_head(git_dir, pristine.base)

    def _move(self, here: Path, there: Path, git_dir: Path) -> Path:
        """Also let the git directory name it again."""
        with repository_lock(self.site):
            here.rename(there)
            move_link(git_dir, there)
        return git_dir

    def _before(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        """A `.git` of its own; the old one might have another name."""
        del git, spec
        link = repo / ".git"
        link.unlink()
        _write_link(link, git_dir)

    def _attach(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        """As `worktree add -b` does it. `checkout -b` would look at every file."""
        del git  # the branch is one of the user's repository
        ref = f"refs/heads/{spec.branch}"
        try:
            self.site.git.move_ref(ref, spec.base, None)
        except GitError:
            with repository_lock(self.site):
                self._clear_the_way(spec, repo)
            self.site.git.move_ref(ref, spec.base, None)
        _write_head(git_dir, f"ref: {ref}")
        with suppress(FileNotFoundError):  # core.logAllRefUpdates may be off
            line = (self.site.common_dir / "logs" / ref).read_bytes().splitlines()[-1]
            (git_dir / "logs").mkdir()
            (git_dir / "logs" / "HEAD").write_bytes(line.partition(b"\t")[0] + b"\n")

    def _unmake(self, spec: WorkspaceSpec) -> None:
        self.site.git.run("update-ref", "-d", f"refs/heads/{spec.branch}", spec.base, ok=(0, 1, 128))

    def _destroy(self, home: Path, git_dir: Path) -> None:
        remove_tree(home)
        with repository_lock(self.site):
            shutil.rmtree(git_dir, ignore_errors=True)

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
        place, link = self._find(workspace), workspace.repo / ".git"
        if place is None or named_by(link) == place.git_dir:
            return place, []
        remark = "its .git was gone: it was put back"
        if os.path.lexists(link):
            remark = "its .git was replaced: it was put back, and what was there is kept beside the workspace"
            set_aside(link, workspace.home)
        _write_link(link, place.git_dir)
        return place, [remark]

    def _forget(self, workspace: Workspace) -> None:
        self._pristine.pop(workspace.home, None)
        with repository_lock(self.site):
            # also those that an agent made inside its own workspace
            for admin in worktrees_below(self.site.common_dir, os.path.realpath(workspace.home)):
                shutil.rmtree(admin, ignore_errors=True)

    def _admin(self, repo: Path) -> Path | None:
        """The git directory of the worktree at `repo`, by what the user's repository says, not the workspace."""
        common_dir, real = self.site.common_dir, Path(os.path.realpath(repo))  # git follows links in the root
        linked = named_by(repo / ".git")
        if linked is not None and linked.parent == common_dir / "worktrees" and place_of(linked) == real:
            return linked
        return next((admin for admin, place in worktrees_of(common_dir) if place == real), None)


def _write_link(link: Path, git_dir: Path) -> None:
    link.write_bytes(b"gitdir: " + os.fsencode(git_dir) + b"\n")


def _write_head(admin: Path, what: str) -> None:
    write_anew(f"{admin}/HEAD", f"{what}\n".encode())
