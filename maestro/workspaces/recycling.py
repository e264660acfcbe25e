"""Handing out used files again instead of new ones: what changed is checked out, not everything.

When a workspace is handed out, its index is kept under a second name, as a hard link: git replaces an index, it never
writes into one. A digest of it stays in memory. When the workspace comes back, that index is put in the place of the
agent's. So no flag that an agent set in it (assume-unchanged, skip-worktree) counts, and git finds every file that was
touched by its ctime, which nobody can set; those of the same second, which git does not tell apart, are told apart
here. Folders are known by their ctime as well, so only those are searched in which something came or went. Whatever is
not tracked is removed, but for what the user wants kept. Anything that is not known here is reason not to recycle.

All of that happens when a task is over. The next one then costs what differs between its base and the last.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from maestro.vcs.git import COMPARES_ALL, Git
from maestro.vcs.parse import RawChange, fields, parse_raw_diff
from maestro.workspaces.base import Workspace
from maestro.workspaces.index import Young, born, count_of
from maestro.workspaces.links import contents_of, worktrees_below
from maestro.workspaces.parking import Layer, Parked, Pristine
from maestro.workspaces.processes import working_directories
from maestro.workspaces.removal import remove_tree
from maestro.workspaces.scrub import drop_attributes, scrub
from maestro.workspaces.site import Site
from maestro.workspaces.splice import entries_of, index_of, plan
from maestro.workspaces.touched import drop_touched
from maestro.workspaces.tracked import ABSENT, IndexReader, Tracked, marks_of, parted, stamps

KEPT_INDEX = "maestro-index"
"""In a workspace's git directory: its index as it was when the workspace was handed out."""

_LATER_NS = 2_000_000_000
_FEW = 200  # changes; with more of them git is quicker


class NotRecyclable(Exception):
    """Why files are not handed out again; they are really removed then."""


@dataclass(frozen=True)
class Cleared:
    """Files that are those of a commit again, and what else is with them."""

    layer: Layer
    kept: tuple[bytes, ...]


def remember(
    repo: Path, git_dir: Path, base: str, settings: tuple[bytes | None, ...], cleared: Cleared | None
) -> Pristine:
    """Note how files are that were just checked out with these settings. OSError where that cannot be kept."""
    index = git_dir / KEPT_INDEX
    index.unlink(missing_ok=True)
    index.hardlink_to(git_dir / "index")
    found = index.stat()
    layer = None
    if cleared is not None:
        # the link just made the ctime: whatever folder changed before is known by its own from now on
        known = stamps(repo, cleared.layer.tracked, found.st_ctime_ns, cleared.layer.stamps)
        for path in cleared.kept:
            for folder in _above(path):
                known.pop(folder, None)  # is looked through each time
        layer = replace(cleared.layer, stamps=known)
    return Pristine(
        git_dir=git_dir,
        base=base,
        folder_mode=stat.S_IMODE(repo.stat().st_mode),
        marks=marks_of(repo),
        settings=settings,
        index=digest_of(index),
        index_ns=found.st_mtime_ns,
        handed_ns=found.st_ctime_ns,
        index_mode=stat.S_IMODE(found.st_mode),
        layer=layer,
    )


def settings_of(site: Site) -> tuple[bytes | None, ...]:
    """What, besides the commit, makes the files of a checkout: line ends, filters, attributes."""
    return tuple(map(contents_of, site.makes_checkouts))


def check(site: Site, workspace: Workspace, pristine: Pristine) -> None:
    """NotRecyclable unless all is as it is known to be, whatever the kind."""
    if site.config:
        raise NotRecyclable("sparse checkout or LFS")
    if not stat.S_ISDIR(workspace.repo.lstat().st_mode):
        raise NotRecyclable("the files are gone or were replaced")
    if settings_of(site) != pristine.settings:
        raise NotRecyclable("the repository's configuration was changed")
    home = os.path.realpath(workspace.home)
    if any(admin != pristine.git_dir for admin in worktrees_below(site.common_dir, home)):
        raise NotRecyclable("an agent made worktrees in it")
    inside = f"{home}/"
    if any(one == home or one.startswith(inside) for one in working_directories()):
        raise NotRecyclable("a process still works in it")
    index = pristine.git_dir / KEPT_INDEX
    found, inodes = index.lstat(), {path.lstat().st_ino for path in (index, pristine.git_dir / "index")}
    looks = (stat.S_IFREG | pristine.index_mode, 3 - len(inodes))
    if (found.st_mode, found.st_nlink) != looks or digest_of(index) != pristine.index:
        raise NotRecyclable("its index was written into")
    os.utime(index, ns=(pristine.index_ns, pristine.index_ns))  # git tells by it what was written in the same second


def clear(site: Site, repo: Path, git_dir: Path, pristine: Pristine, indexes: IndexReader) -> Cleared:
    """Make the files those of the base again, all but what is to be kept; the index in `git_dir` is as it was when they
    were handed out. NotRecyclable, OSError, WorkspaceError or GitError where that cannot be, perhaps half done."""
    git, index = _strict(site, repo, git_dir), git_dir / "index"
    layer = pristine.layer or layer_of(site, index, indexes)
    kept, same = scrub(repo, layer.tracked, layer.stamps, pristine.folder_mode, pristine.marks, site.keep)
    same |= drop_attributes(repo, layer.tracked, layer.stamps)
    altered, borrowing = drop_touched(repo, layer.young, pristine.handed_ns), _borrowing(site)
    # nothing is left that may have been changed in the second of the index: git need not look into those files
    os.utime(index, ns=(pristine.index_ns, pristine.index_ns + _LATER_NS))
    if len(layer.young) < count_of(index):
        listed = git.run("diff-files", "-z", "--name-only", env=borrowing).stdout
        altered = [os.fsencode(path) for path in fields(listed)]
    if altered:
        args = ("checkout-index", "--force", "--index", "--quiet", "-z", "--stdin")
        git.run(*args, stdin=b"".join(path + b"\0" for path in altered), env=borrowing)
    else:
        os.utime(index, ns=(pristine.index_ns, pristine.index_ns))
    return Cleared(Layer(layer.tracked, same, _young(repo, index, layer.young, altered)), kept)


def bring(site: Site, repo: Path, git_dir: Path, parked: Parked, layer: Layer, base: str) -> Cleared:
    """From the files of the former base to those of the new one. NotRecyclable where more may differ than git sees."""
    git, borrowing = _strict(site, repo, git_dir), _borrowing(site)
    old, kept = parked.pristine.base, parked.kept
    if old != base:
        changes = parse_raw_diff(git.changes_between(old, base, borrowing))
        tracked = layer.tracked.after(changes)
        if tracked is None:
            # files that did not change between the commits are as they were checked out with the former attributes
            raise NotRecyclable("attributes or submodules differ")
        kept = _still_welcome(site, repo, kept, tracked)
        if changes and not _replaced(site, repo, git_dir, layer.tracked, tracked, changes):
            git.run("read-tree", "-m", "-u", old, base, env=borrowing)
        touched = [os.fsencode(one.path) for one in changes]
        known = {**layer.stamps}
        for path in touched:
            known.pop(parted(path)[0], None)
        layer = Layer(tracked, known, _young(repo, git_dir / "index", layer.young, touched))
    return Cleared(layer, kept)


def _replaced(site: Site, repo: Path, git_dir: Path, old: Tracked, new: Tracked, changes: Sequence[RawChange]) -> bool:
    """Whether only the files that differ, and their entries in the index, were replaced; False, with nothing done,
    where that is not certain to be what git would do, or is too much."""
    if len(changes) > _FEW or not old.names.keys() <= new.names.keys():
        return False  # a folder that goes may have more to go with it
    index, small = git_dir / "index", git_dir / "index.small"
    there = [os.fsencode(one.path) for one in changes if one.old_mode != ABSENT]
    come = [one for one in changes if one.new_mode != ABSENT]
    added = [os.fsencode(one.path) for one in come if one.old_mode == ABSENT]
    splice = plan(index.read_bytes(), old, id_size_of(site), there, added)
    if splice is None:
        return False
    top = os.fsencode(repo) + b"/"
    for path in there:
        os.unlink(top + path)  # noqa: PTH108 - names are bytes
    entries: dict[bytes, bytes] = {}
    if come:
        git, env = _strict(site, repo, git_dir), {**_borrowing(site), "GIT_INDEX_FILE": str(small)}
        made = index_of({os.fsencode(one.path): (int(one.new_mode, 8), one.new) for one in come}, id_size_of(site))
        if made is not None:
            small.write_bytes(made)
        else:
            lines = b"".join(f"{one.new_mode} {one.new}\t".encode() + os.fsencode(one.path) + b"\0" for one in come)
            git.run("update-index", "-z", "--index-info", stdin=lines, env=env)
        git.run("checkout-index", "--all", "--force", "--index", "--quiet", env=env)
        entries = entries_of(small.read_bytes(), id_size_of(site))
        small.unlink()
    whole = splice.with_entries(entries)
    if whole is None or len(entries) != len(come):
        raise NotRecyclable("an index with more in it than is known here")
    fresh = git_dir / "index.new"
    fresh.write_bytes(whole)
    fresh.replace(index)
    return True


def drop_kept(repo: Path, cleared: Cleared) -> Cleared:
    """Remove all that was kept."""
    return replace(cleared, kept=_only(repo, cleared.kept, set()))


def drop_unignored(git: Git, repo: Path, cleared: Cleared) -> Cleared:
    """Remove of what was kept whatever git does not ignore here: it could come into a commit."""
    if not cleared.kept:
        return cleared
    asked = b"".join(path + b"\0" for path in cleared.kept)
    said = git.run("check-ignore", "-z", "--no-index", "--stdin", stdin=asked, ok=(0, 1)).stdout
    return replace(cleared, kept=_only(repo, cleared.kept, set(said.split(b"\0"))))


def _still_welcome(site: Site, repo: Path, kept: tuple[bytes, ...], tracked: Tracked) -> tuple[bytes, ...]:
    """What does not stand in the way of something tracked, and not alone where nothing is tracked any more."""
    stays = set()
    for path in kept:
        above = _above(path)
        is_in_the_way = path in tracked or any(
            folder not in tracked.names and folder[:-1] in tracked for folder in above
        )
        if not is_in_the_way and (above[0] in tracked.names or site.keep.is_exact(path)):
            stays.add(path)
    return _only(repo, kept, stays)


def _only(repo: Path, kept: tuple[bytes, ...], stays: set[bytes]) -> tuple[bytes, ...]:
    for path in kept:
        if path not in stays:
            remove_tree(repo / os.fsdecode(path))
    return tuple(path for path in kept if path in stays)


def _above(path: bytes) -> list[bytes]:
    """Folders that a path is in, the nearest first, the top last."""
    found = []
    while path:
        path = path.rstrip(b"/").rpartition(b"/")[0]
        found.append(path + b"/" if path else b"")
    return found


def layer_of(site: Site, index: Path, indexes: IndexReader) -> Layer:
    """What its index tells of a fresh checkout. NotRecyclable where that is not enough."""
    found = indexes.read(index, id_size_of(site))
    if found is None:
        raise NotRecyclable("submodules, or an index of another version")
    tracked, young = found
    return Layer(tracked, {}, young)


def id_size_of(site: Site) -> int:
    return 32 if site.object_format == "sha256" else 20


def _young(repo: Path, index: Path, before: Young, anew: Iterable[bytes]) -> Young:
    """Those from the second in which the index was written, of the ones before, and of those checked out since."""
    top, written_ns = os.fsencode(repo) + b"/", index.stat().st_mtime_ns
    since = written_ns - written_ns % 1_000_000_000
    found = {path: known for path, known in before.items() if known[1] >= since}
    for path in anew:
        found.pop(path, None)
        with suppress(FileNotFoundError, NotADirectoryError):
            about = born(os.lstat(top + path))
            if about[1] >= since:
                found[path] = about
    return found


def _strict(site: Site, repo: Path, git_dir: Path) -> Git:
    return site.git.at(repo, git_dir=git_dir, work_tree=repo, config=COMPARES_ALL)


def _borrowing(site: Site) -> dict[str, str]:
    """Lets git in a clone that has no objects yet see the user's; a list, of which colons part the members."""
    objects = str(site.common_dir / "objects")
    quoted = (
        '"' + objects.replace("\\", "\\\\").replace('"', '\\"') + '"' if ":" in objects or '"' in objects else objects
    )
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted}


def digest_of(index: Path) -> bytes:
    """OSError where it is not there."""
    return hashlib.sha256(index.read_bytes()).digest()
