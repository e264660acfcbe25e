"""What a fresh workspace gets from the user's checkout: copies of ignored files, links to folders (W-4)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from maestro.errors import WorkspaceError
from maestro.model.record import Record
from maestro.vcs.git import Git
from maestro.vcs.parse import fields


class SetupSpec(Record):
    """What is brought from the user's checkout into each workspace; globs are relative to the checkout."""

    copy_files: tuple[str, ...] = Field(default=(), alias="copy")  # `copy` is a method of every pydantic model
    symlink: tuple[str, ...] = ()
    worktree_include: bool = True  # files that `.worktreeinclude` lists


def bring_in(spec: SetupSpec, source: Git, checkout: Path, target: Git, repo: Path) -> tuple[str, ...]:
    """Copy and link into `repo`; the paths that came in, relative to it.

    Tracked files are never overwritten, nothing outside the checkout is read, modes are kept. A name that matches
    nothing is fine: it may exist only on some machines. WorkspaceError where something cannot be brought in.
    """
    if not spec.copy_files and not spec.symlink and not (checkout / ".worktreeinclude").is_file():
        return ()
    copies = set(_matching(checkout, spec.copy_files))
    if spec.worktree_include and (checkout / ".worktreeinclude").is_file():
        copies |= _included(source, checkout)
    brought = []
    try:
        links = [path for path in _matching(checkout, spec.symlink) if not os.path.lexists(repo / path)]
        for path in links:
            (repo / path).parent.mkdir(parents=True, exist_ok=True)
            (repo / path).symlink_to(checkout / path)
            brought.append(path)
        wanted = sorted(copies - _tracked(target, copies))
        wanted = [path for path in wanted if not any(Path(path).is_relative_to(link) for link in links)]
        brought += [path for path in wanted if _copy(checkout / path, repo / path, repo)]
    except (OSError, shutil.Error) as error:
        raise WorkspaceError(f"setup could not bring in a file: {error}") from error
    return tuple(brought)


def _matching(checkout: Path, patterns: Iterable[str]) -> list[str]:
    """Paths in the checkout that the globs name; WorkspaceError for one that leads out of it."""
    found: dict[str, None] = {}
    for pattern in patterns:
        parts = Path(pattern).parts
        if not parts or Path(pattern).is_absolute() or ".." in parts or ".git" in parts:
            raise WorkspaceError(
                f"setup path {pattern!r} is not inside the checkout", hint="give it relative to the repository"
            )
        for path in sorted(checkout.glob(pattern.rstrip("/"))):
            if not path.parent.resolve().is_relative_to(checkout.resolve()):
                raise WorkspaceError(f"setup path {pattern!r} leads out of the checkout through a link")
            found[str(path.relative_to(checkout))] = None
    return list(found)


def _included(source: Git, checkout: Path) -> set[str]:
    """Files that git ignores and `.worktreeinclude`, in the syntax of .gitignore, names."""
    args = ("ls-files", "-z", "--others", "--ignored")
    ignored = set(fields(source.run(*args, "--exclude-standard").stdout))
    named = set(fields(source.run(*args, f"--exclude-from={checkout / '.worktreeinclude'}").stdout))
    return ignored & named


def _tracked(target: Git, paths: Iterable[str]) -> set[str]:
    """Those of the paths that are tracked in the workspace, or hold tracked files."""
    wanted = sorted(paths)
    if not wanted:
        return set()
    listed = fields(target.run("--literal-pathspecs", "ls-files", "-z", "--", *wanted).stdout)
    return {path for path in wanted if any(one == path or one.startswith(f"{path}/") for one in listed)}


def _copy(source: Path, target: Path, repo: Path) -> bool:
    """Whether it was copied; what is there already stays."""
    if os.path.lexists(target) or not target.parent.resolve().is_relative_to(repo.resolve()):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
    return True
