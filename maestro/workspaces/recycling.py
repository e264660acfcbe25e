"""Handing out a used worktree again instead of a new one: what changed is checked out, not everything.

When a worktree is handed out, its index is kept under a second name, as a hard link: git replaces an index, it never
writes into one. When the worktree comes back, that index is put in the place of the agent's. So no flag that an agent
set in it (assume-unchanged, skip-worktree) counts, and git finds every file that was touched by its ctime, which
nobody can set, or, where the second is the same, by its contents. Whatever is not tracked is removed, and of the git
directory only the names remain that a new one has. Anything that is not known here is reason not to recycle.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from maestro.vcs.git import Git
from maestro.workspaces.base import Workspace, WorkspaceSpec
from maestro.workspaces.index import read_attributes, read_index
from maestro.workspaces.lifecycle import repository_lock
from maestro.workspaces.links import move_link, named_by, place_of, worktrees_of
from maestro.workspaces.marker import encode_path, read_marker, write_marker
from maestro.workspaces.parking import Parked, Pristine, new_place
from maestro.workspaces.processes import working_directories
from maestro.workspaces.removal import remove_tree, reopen
from maestro.workspaces.scrub import scrub
from maestro.workspaces.site import Site

KEPT_INDEX = "maestro-index"
"""In a worktree's git directory: its index as it was when the worktree was handed out."""

_STAYS = frozenset({"HEAD", "commondir", "gitdir", "index", KEPT_INDEX})
_GOES = frozenset({"ORIG_HEAD", "FETCH_HEAD", "COMMIT_EDITMSG", "logs", "refs"})
_STRICT = {"core.trustctime": "true", "core.checkStat": "default"}


class NotRecyclable(Exception):
    """Why a worktree is not handed out again; it is really removed then."""


def remember(repo: Path, admin: Path, base: str, settings: tuple[bytes | None, ...]) -> Pristine:
    """Note how a worktree is that was just checked out with these settings. OSError where that cannot be kept."""
    kept = admin / KEPT_INDEX
    kept.unlink(missing_ok=True)
    kept.hardlink_to(admin / "index")
    link, mode = (repo / ".git").read_bytes(), stat.S_IMODE(repo.stat().st_mode)
    return Pristine(admin=admin, link=link, base=base, folder_mode=mode, settings=settings)


def settings_of(site: Site) -> tuple[bytes | None, ...]:
    """What, besides the commit, makes the files of a checkout: line ends, filters, attributes."""
    inside = [site.common_dir / name for name in ("config", "config.worktree", "info/attributes")]
    return tuple(_contents(path) for path in (*inside, *site.user_config))


def park(site: Site, workspace: Workspace, pristine: Pristine) -> Parked:
    """Empty the worktree and put it aside; its home stays, without the files.

    NotRecyclable, OSError or WorkspaceError where that cannot be, perhaps half done.
    """
    reopen(workspace.home, workspace.repo)
    marker = read_marker(workspace.home)
    _check(site, workspace, pristine)
    tracked = read_index(pristine.admin / KEPT_INDEX, _id_size(site))
    if tracked is None or marker is None:
        raise NotRecyclable("submodules, or an index of another version")
    scrub(workspace.repo, tracked, pristine.folder_mode)
    _empty(pristine)
    home = new_place(site.root)
    repo = home / site.name
    try:
        home.mkdir(mode=0o700)
        write_marker(home, marker.evolve(parked=True, repo=encode_path(repo)))
        _move(site, workspace.repo, repo, pristine)
    except OSError:
        destroy(site, home, pristine)
        raise
    return Parked(home=home, repo=repo, pristine=pristine, attributes=tracked.attributes)


def hand_out(site: Site, parked: Parked, repo: Path) -> Git:
    """Move the files to `repo`, in a home that exists; git in them."""
    pristine = parked.pristine
    if settings_of(site) != pristine.settings:
        raise NotRecyclable("the repository's configuration was changed")
    _move(site, parked.repo, repo, pristine)
    shutil.rmtree(parked.home)
    return site.git.at(repo, git_dir=pristine.admin, work_tree=repo)


def check_out(site: Site, parked: Parked, spec: WorkspaceSpec, repo: Path) -> Pristine:
    """Make the new branch at the new base, and the files those of the base."""
    pristine = parked.pristine
    git = site.git.at(repo, git_dir=pristine.admin, work_tree=repo, config=_STRICT)
    git.run("checkout", "-q", "--force", "--no-track", "-b", spec.branch, spec.base)
    # files that did not change between the commits are as they were checked out with the attributes of the former
    if read_attributes(pristine.admin / "index", _id_size(site)) != parked.attributes:
        raise NotRecyclable("attributes differ")
    _begin_log(pristine.admin / "logs" / "HEAD")
    return remember(repo, pristine.admin, spec.base, pristine.settings)


def destroy(site: Site, home: Path, pristine: Pristine) -> None:
    """Really remove a worktree that nobody works in."""
    remove_tree(home)
    with repository_lock(site):
        shutil.rmtree(pristine.admin, ignore_errors=True)


def _move(site: Site, here: Path, there: Path, pristine: Pristine) -> None:
    """Move the files, and let `.git` and the git directory name each other again."""
    with repository_lock(site):
        here.rename(there)
        move_link(pristine.admin, there)
    link = there / ".git"
    link.unlink()
    link.write_bytes(pristine.link)


def _check(site: Site, workspace: Workspace, pristine: Pristine) -> None:
    """NotRecyclable unless all is as it is known to be."""
    admin, repo = pristine.admin, workspace.repo
    if site.config:
        raise NotRecyclable("sparse checkout or LFS")
    if not stat.S_ISDIR(repo.lstat().st_mode) or named_by(repo / ".git") != admin:
        raise NotRecyclable("the files or their .git are gone or were replaced")
    if (admin / "commondir").read_bytes() != b"../..\n" or place_of(admin) != Path(os.path.realpath(repo)):
        raise NotRecyclable("its git directory belongs to another worktree")
    unknown = {entry.name for entry in os.scandir(admin)} - _STAYS - _GOES
    if unknown or not _is_bare(admin / "refs"):
        raise NotRecyclable(f"unfinished or unknown in its git directory: {unknown}")
    if settings_of(site) != pristine.settings:
        raise NotRecyclable("the repository's configuration was changed")
    home = os.path.realpath(workspace.home)
    if any(other != admin and place.is_relative_to(home) for other, place in worktrees_of(site.common_dir)):
        raise NotRecyclable("an agent made worktrees in it")
    if any(one == home or one.startswith(f"{home}/") for one in working_directories()):
        raise NotRecyclable("a process still works in it")


def _is_bare(refs: Path) -> bool:
    """Whether no ref of the worktree's own is left, such as those of a bisection."""
    return not any(names for _, _, names in os.walk(refs))


def _empty(pristine: Pristine) -> None:
    """Back to the former base, and nothing of what git noted there since."""
    admin = pristine.admin
    for name in _GOES:
        path = admin / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    (admin / KEPT_INDEX).replace(admin / "index")
    fresh = admin / "HEAD.new"
    fresh.write_bytes(pristine.base.encode() + b"\n")
    fresh.replace(admin / "HEAD")


def _begin_log(log: Path) -> None:
    """One line that leads from nowhere to the base: what came before was another task's."""
    with contextlib.suppress(FileNotFoundError):  # core.logAllRefUpdates may be off
        line = log.read_bytes().partition(b"\t")[0]
        size = line.index(b" ")
        log.write_bytes(b"0" * size + line[size:] + b"\n")


def _id_size(site: Site) -> int:
    return 32 if site.object_format == "sha256" else 20


def _contents(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
