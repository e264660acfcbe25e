"""Clones: a repository of its own, for agents that must not share refs, configuration or stash with the user.

Objects are borrowed through `objects/info/alternates` where both are on one disk. What is borrowed cannot be
collected as garbage: the branch is made in the user's repository first, and keeps the base and all before it.

When the files of a clone are used again, its `.git` is not: that is made anew, with nothing in it of what an agent did.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from maestro.errors import GitError
from maestro.vcs.git import Git
from maestro.vcs.parse import parse_refs
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.evidence import Place
from maestro.workspaces.lifecycle import repository_lock
from maestro.workspaces.parking import Pristine
from maestro.workspaces.pool import Pool
from maestro.workspaces.recycling import KEPT_INDEX, NotRecyclable
from maestro.workspaces.removal import remove_tree, set_aside
from maestro.workspaces.roots import on_one_disk
from maestro.workspaces.site import Site

FETCH = ("fetch", "-q", "--no-tags", "--no-prune", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc")


class CloneWorkspaces(Pool):
    """A clone per task; `origin` is the user's repository, to fetch from and not to push to. None is made ahead: only
    the branch of its task keeps what it borrows."""

    kind = "clone"
    depth: int | None = None

    def __init__(self, site: Site, *, borrow: bool | None = None) -> None:
        """`borrow` None: where both are on one disk."""
        super().__init__(site)
        self._borrow = on_one_disk(site.root, site.common_dir) if borrow is None else borrow

    def _check_out(self, spec: WorkspaceSpec, repo: Path) -> Git:
        self._claim_branch(spec)
        return super()._check_out(spec, repo)

    def _make(self, spec: WorkspaceSpec, repo: Path) -> Git:
        git = self._make_repository(repo, spec.branch, spec.base)
        git.run("reset", "-q", "--hard", spec.base)
        return git

    def _git_dir(self, repo: Path) -> Path:
        return repo / ".git"

    def _check_own(self, workspace: Workspace, pristine: Pristine) -> None:
        del workspace
        if pristine.git_dir.is_symlink() or not pristine.git_dir.is_dir():
            raise NotRecyclable("its .git is gone or was replaced")

    def _strip(self, repo: Path, git_dir: Path, branch: str, pristine: Pristine) -> None:
        """An empty repository in the place of its own."""
        aside = repo.parent / KEPT_INDEX
        repo.chmod(pristine.folder_mode)  # what is made in it may inherit of its mode
        (git_dir / KEPT_INDEX).replace(aside)
        remove_tree(git_dir)
        self._make_empty(repo, branch)
        aside.replace(git_dir / "index")

    def _move(self, here: Path, there: Path, git_dir: Path) -> Path:
        del git_dir  # nothing names where it stands
        here.rename(there)
        return there / ".git"

    def _before(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        del git_dir
        (repo / ".git" / "HEAD").write_text(f"ref: refs/heads/{spec.branch}\n", encoding="utf-8")
        self._bring_objects(git, repo, spec.base)

    def _attach(self, git: Git, git_dir: Path, spec: WorkspaceSpec, repo: Path) -> None:
        del git_dir, repo
        git.run("update-ref", "-m", f"reset: moving to {spec.base}", "HEAD", spec.base)

    def _destroy(self, home: Path, git_dir: Path) -> None:
        del git_dir  # it is in there
        remove_tree(home)

    def _make_repository(self, repo: Path, branch: str, base: str) -> Git:
        """An empty repository that can see the base, HEAD on the branch that does not exist yet."""
        git = self._make_empty(repo, branch)
        self._bring_objects(git, repo, base)
        return git

    def _make_empty(self, repo: Path, branch: str) -> Git:
        site, git_dir = self.site, repo / ".git"
        site.git.run(
            "init",
            "-q",
            "--template=",
            f"--object-format={site.object_format}",
            f"--initial-branch={branch}",
            str(repo),
        )
        with (git_dir / "config").open("ab") as file:
            file.write(self._remote())
        if self._borrow:
            info = git_dir / "objects" / "info"
            info.mkdir(exist_ok=True)
            (info / "alternates").write_bytes(_alternate(site.common_dir / "objects") + b"\n")
            if (site.common_dir / "shallow").exists():
                shutil.copyfile(site.common_dir / "shallow", git_dir / "shallow")
        return site.git.at(repo, git_dir=git_dir, work_tree=repo)

    def _bring_objects(self, git: Git, repo: Path, base: str) -> None:
        if self._borrow:
            return
        source = f"refs/maestro/lent/{_short(repo)}"
        self.site.git.run("update-ref", source, base)
        try:
            depth = () if self.depth is None else (f"--depth={self.depth}",)
            git.run(*FETCH, *depth, str(self.site.common_dir), f"+{source}:refs/maestro/base")
        finally:
            self.site.git.run("update-ref", "-d", source)

    def _remote(self) -> bytes:
        url = _quoted(os.fsencode(self.site.common_dir))
        return (
            b'[remote "origin"]\n\turl = ' + url + b"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
            b'\tpushurl = "no-push://maestro-collects-the-commits-itself"\n'
        )

    def _find(self, workspace: Workspace) -> Place | None:
        git_dir = workspace.repo / ".git"
        # a link or a file would lead into another repository, perhaps the user's
        if git_dir.is_symlink() or not (git_dir / "HEAD").is_file() or not (git_dir / "objects").is_dir():
            return None
        return Place(self.site.git.at(workspace.repo, git_dir=git_dir, work_tree=workspace.repo), git_dir, git_dir)

    def _mend(self, workspace: Workspace) -> tuple[Place | None, list[str]]:
        place = self._find(workspace)
        if place is not None and place.git.commit_of(workspace.base) is not None:
            return place, []
        if os.path.lexists(workspace.repo / ".git"):
            set_aside(workspace.repo / ".git", workspace.home)
        git = self._make_repository(workspace.repo, workspace.branch, workspace.base)
        git.run("reset", "-q", workspace.base)
        remark = "its .git was destroyed or replaced, with the commits in it: only its files could be taken"
        return self._find(workspace), [remark]

    def _bring_home(self, workspace: Workspace, place: Place, tip: str) -> None:
        ref = f"refs/heads/{workspace.branch}"
        place.git.run("update-ref", ref, tip)
        self._fetch(str(place.git_dir), f"+{ref}:{ref}")

    def _fetch(self, *args: str) -> None:
        """Fetch into the user's repository. Git checks what it got against the HEAD of every worktree, and one that is
        just being added points at nothing for a moment: then once more, while none can be."""
        try:
            self.site.git.run(*FETCH, *args)
        except GitError:
            with repository_lock(self.site):
                self.site.git.run(*FETCH, *args)

    def _tips(self, place: Place) -> list[str]:
        """Branches and stashes of the clone go with it: all are fetched, under names that exist only meanwhile."""
        git, incoming = self.site.git, f"refs/maestro/incoming/{_short(place.git_dir)}"
        refspecs = [f"+refs/heads/*:{incoming}/heads/*"]
        head = place.git.commit_of("HEAD")
        if head is not None:
            refspecs.append(f"+HEAD:{incoming}/HEAD")
        if place.git.commit_of("refs/stash") is not None:
            refspecs.append(f"+refs/stash:{incoming}/stash")
        self._fetch(str(place.git_dir), *refspecs)
        refs = parse_refs(git.run("for-each-ref", "--format=%(objectname) %(refname)", f"{incoming}/").stdout)
        git.run("update-ref", "--stdin", "-z", stdin="".join(f"delete {ref}\0\0" for ref in refs).encode())
        return [*([head] if head else []), *(tip for tip in refs.values() if tip != head)]

    def _forget(self, workspace: Workspace) -> None:
        """The user's repository knows nothing but the branch, and that stays."""
        self._pristine.pop(workspace.home, None)


def _short(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _quoted(value: bytes) -> bytes:
    for letter, escape in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n")):
        value = value.replace(letter, escape)
    return b'"' + value + b'"'


def _alternate(objects: Path) -> bytes:
    """The line for `objects/info/alternates`; C-style quotes where the path would not be one line without them."""
    raw = os.fsencode(objects)
    return _quoted(raw) if b"\n" in raw or raw.startswith((b'"', b"#")) else raw
