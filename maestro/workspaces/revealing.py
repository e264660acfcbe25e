"""What git cannot see of files that were made older (`aging`): told by their ctimes, before git is asked."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from maestro.proc import spawned
from maestro.workspaces import aging
from maestro.workspaces.index import count_of
from maestro.workspaces.parking import Layer, Pristine
from maestro.workspaces.recycling import KEPT_INDEX, NotRecyclable, digest_of, id_size_of, layer_of
from maestro.workspaces.site import Site
from maestro.workspaces.touched import are_same
from maestro.workspaces.tracked import IndexReader

_SECOND = 1_000_000_000
_LONG_AGO_NS = _SECOND
_UNSURE_SECONDS = 2
"""By how much the clocks of a file system and of this machine may differ."""

_MOST = 5_000
"""Files. A start must not take longer with a large repository for the sake of its first second (W-5)."""

_PATIENCE_SECONDS = 60.0


def make_older(site: Site, repo: Path, git_dir: Path) -> None:
    """Of a fresh checkout. An economy: where it cannot be, git reads the files, as it would have done. GitError where
    some have become older and the index cannot be made to say so."""
    index = git_dir / "index"
    try:
        if not sys.executable or count_of(index) > _MOST:
            return
    except OSError:
        return
    program = [sys.executable, "-I", "-S", "-c", aging.PROGRAM, str(Path(aging.__file__).parent)]
    argv = [*program, str(repo), str(index), str(id_size_of(site))]
    with suppress(OSError, subprocess.TimeoutExpired):
        if spawned.run(argv, env=dict(os.environ), stdin=None, timeout_seconds=_PATIENCE_SECONDS).returncode == 0:
            return
    # by what an agent's git would note of those later nobody could tell what was done to them before
    with suppress(OSError):
        (git_dir / "index.new").unlink()
    site.git.at(repo, git_dir=git_dir, work_tree=repo).run("update-index", "-q", "--refresh", ok=(0, 1))


def known_layer(site: Site, git_dir: Path, pristine: Pristine, indexes: IndexReader) -> Layer | None:
    """What the index told of the files when they were handed out; None where that is not known any more. NotRecyclable
    where it is one whose files are never made older."""
    kept = git_dir / KEPT_INDEX
    try:
        if not stat.S_ISREG(kept.lstat().st_mode) or digest_of(kept) != pristine.index:
            return None
        os.utime(kept, ns=(pristine.index_ns, pristine.index_ns))  # it tells what is young; anybody can set it
        if count_of(kept) > _MOST:
            raise NotRecyclable("too many files to be made older")
        return layer_of(site, kept, indexes)
    except OSError:
        return None  # it went with a git directory that an agent destroyed


def reveal(repo: Path, git_dir: Path, pristine: Pristine | None, first_ns: int) -> bool:
    """Where any of the files is not as it was, let git read all: it does when the index is the older. The same where
    it is not known how they were, but that they were there at `first_ns`. Whether git sees by itself whatever changes
    from now on.

    OSError where that cannot be done.
    """
    began_ns, newest_ns, is_same = time.time_ns(), first_ns, False
    if pristine is not None and pristine.layer is not None:
        young = pristine.layer.young
        newest_ns = max((changed for _, changed in young.values()), default=0)
        if newest_ns // _SECOND < pristine.handed_ns // _SECOND:
            return True  # whatever was changed since has the ctime of a later second
        is_same = are_same(repo, young)
    if not is_same:
        with suppress(FileNotFoundError):  # without an index all differs
            os.utime(git_dir / "index", ns=(_LONG_AGO_NS, _LONG_AGO_NS), follow_symlinks=False)
    return began_ns // _SECOND > newest_ns // _SECOND + _UNSURE_SECONDS
