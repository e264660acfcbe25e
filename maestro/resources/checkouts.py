"""What git must write for a commit in a workspace, and what must stay as it is there.

maestro itself runs git on a workspace, outside of any sandbox, once its agent has ended. So no agent in a sandbox may
change where git finds its configuration (`.git`, `config`, `commondir`), for that can name programs. What is bound onto
itself is a mount point, and can be neither renamed nor removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from maestro.errors import WorkspaceError

_CONFIGURATION = ("config", "config.worktree", "commondir", "gitdir", "hooks")
_WHOLE_MODULES = 200
"""Submodules are looked for in so many folders at most."""


class GitFolders(NamedTuple):
    """Both in the order in which they hold each other: what may be written, and what may not although it is inside."""

    write: tuple[Path, ...]
    read: tuple[Path, ...]


def git_folders(repo: Path, common_dir: Path | None, branch_folder: str) -> GitFolders:
    """Of the workspace's repository at `repo`; `common_dir` is the git directory of the user's. `branch_folder` is
    where the run's branches are, below `refs/heads`.

    WorkspaceError where the workspace's `.git` leads somewhere else, as only an agent can have made it.
    """
    marker = repo / ".git"
    if marker.is_symlink():
        raise WorkspaceError(f"{marker} was replaced by a link")
    if marker.is_dir():
        _pin(marker / "commondir", ".\n")  # or an agent could say that another folder holds the configuration
        _no_link(marker / "hooks")
        (marker / "hooks").mkdir(exist_ok=True)  # or it could leave some for whoever looks at what is kept
        return _with_modules(repo, marker, GitFolders((repo, marker), _configuration_of(marker)))
    if not marker.exists() or common_dir is None:
        return GitFolders((repo,), ())
    own = _admin(marker, common_dir)
    shared = [common_dir / "objects", common_dir / "refs/heads" / branch_folder]
    kept = [common_dir / "objects" / name for name in ("pack", "info")]
    for folder in (*shared, *kept):
        folder.mkdir(parents=True, exist_ok=True)
    if "worktreeconfig" in (common_dir / "config").read_text(encoding="utf-8", errors="surrogateescape").lower():
        _pin(own / "config.worktree", None)
    reftable = common_dir / "reftable"
    write = (repo, own, *shared, *((reftable,) if reftable.is_dir() else ()))
    return _with_modules(repo, own, GitFolders(write, (marker, *kept, *_configuration_of(own))))


def _pin(file: Path, content: str | None) -> None:
    """Have a file there, so that it can be made read-only. WorkspaceError where it says something else."""
    if file.is_symlink() or (file.exists() and content is not None and file.read_text(errors="replace") != content):
        raise WorkspaceError(f"{file} was put there by an agent")
    if not file.exists():
        file.write_text(content or "")


def borrowed_objects(common_dir: Path) -> tuple[Path, ...]:
    """Folders of objects that the user's repository has from others, and those from others still."""
    found: dict[Path, None] = {}
    waiting = [common_dir / "objects"]
    while waiting:
        folder = waiting.pop()
        try:
            lines = (folder / "info" / "alternates").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        except OSError:
            continue
        named = [folder / line for line in lines if line and not line.startswith(("#", '"'))]
        waiting += [path for path in named if path not in found]
        found |= dict.fromkeys(named)
    return tuple(found)


def unpin(repo: Path) -> None:
    """Take out of a clone what was put there to be made read-only: nobody works in it any more. OSError as from the
    file system."""
    pinned = repo / ".git" / "commondir"
    if not (repo / ".git").is_symlink() and (repo / ".git").is_dir() and not pinned.is_symlink():
        pinned.unlink(missing_ok=True)


def _admin(marker: Path, common_dir: Path) -> Path:
    """The git directory of a worktree, if it is one of this repository and says so itself."""
    own = Path(marker.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir: ").rstrip("\n"))
    back = own / "gitdir"
    if own.parent.resolve() != common_dir.resolve() / "worktrees" or not back.is_file():
        raise WorkspaceError(f"{marker} leads to {own}, which is no worktree of this repository")
    named = Path(back.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n"))
    if named.resolve() != marker.resolve():
        raise WorkspaceError(f"{marker} leads to {own}, which is another's")
    return own


def _configuration_of(git_dir: Path) -> tuple[Path, ...]:
    paths = [git_dir / name for name in _CONFIGURATION]
    for path in paths:
        _no_link(path)  # what is to be read is shown, and a link may lead to what is hidden
    return tuple(path for path in paths if path.exists())


def _no_link(path: Path) -> None:
    if path.is_symlink():
        raise WorkspaceError(f"{path} was replaced by a link")


def _with_modules(repo: Path, git_dir: Path, folders: GitFolders) -> GitFolders:
    """The same for the repositories of submodules, which stand below the git directory. An agent that was here before
    may have made them up, so nothing outside of the workspace counts."""
    write, read = list(folders.write), list(folders.read)
    _no_link(git_dir / "modules")
    for config in sorted((git_dir / "modules").glob("**/config"))[:_WHOLE_MODULES]:
        module = config.parent
        if not (module / "HEAD").is_file():
            continue
        write.append(module)
        read += _configuration_of(module)
        files = _files_of(module)
        if files is None:
            continue
        if not files.is_relative_to(repo.resolve()):
            raise WorkspaceError(f"{config} names {files}, which is not in the workspace")
        _no_link(files / ".git")
        write.append(files)
        read.append(files / ".git")
    return GitFolders(tuple(write), tuple(read))


def _files_of(module: Path) -> Path | None:
    """Where the submodule's files are, with a `.git`, which must lead on to `module`."""
    for line in (module / "config").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        key, _, value = line.strip().partition(" = ")
        files = (module / value.strip('"')).resolve()
        if key == "worktree" and (files / ".git").exists():
            return files
    return None
