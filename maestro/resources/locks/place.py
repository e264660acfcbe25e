"""Where the locks of each scope are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from maestro.errors import BadInput, StateError
from maestro.resources.locks.base import Scope
from maestro.store.ignorefile import hide
from maestro.store.layout import Layout
from maestro.store.machine import machine_folder


def folder_of(scope: Scope, repository: Path | None, run_id: str | None, environ: Mapping[str, str]) -> Path:
    """The folder of all resources of the scope, made where it is missing. `repository`: the top of the checkout that
    the run, or the user, works in. BadInput where the scope needs a repository or a run and there is none; StateError
    where the folder cannot be made."""
    if scope is Scope.MACHINE:
        return _made(machine_folder(environ) / "locks")
    if repository is None:
        raise BadInput(
            f"a lock of scope {scope} belongs to a repository, and this is none",
            hint="work in a checkout, use -C DIR, or give --scope machine",
        )
    if scope is Scope.RUN:
        return _made(_folder_of_run(Layout(repository), run_id) / "locks")
    locks = Layout(main_checkout(repository)).locks
    _made(locks)
    _ignore(locks)
    return _made(locks / "named")


def main_checkout(repository: Path) -> Path:
    """The checkout with which all worktrees of a repository share their lock; itself where it is no worktree."""
    try:
        git_file = (repository / ".git").read_text(encoding="utf-8", errors="surrogateescape")
        git_dir = repository / git_file.removeprefix("gitdir:").strip()
        common = git_dir / (git_dir / "commondir").read_text(encoding="utf-8", errors="surrogateescape").strip()
        found = common.resolve()
    except OSError:  # a folder: the main checkout; or the file of a submodule, which has a repository of its own
        return repository
    return found.parent if found.name == ".git" else repository


def _folder_of_run(layout: Layout, run_id: str | None) -> Path:
    if run_id is None:
        raise BadInput(
            "a lock of scope run belongs to a run, and this is none",
            hint="it is for commands of a run's agents; give --scope repo",
        )
    folder = layout.run(run_id)
    if not folder.is_dir():
        raise BadInput(f"there is no run {run_id} in {layout.repository}", hint="`maestro status` lists the runs")
    return folder


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the lock folder {folder} cannot be made: {error.strerror}", hint="make it writable, or make room"
        ) from error
    return folder


def _ignore(folder: Path) -> None:
    """Git does not see the state of maestro (S-2)."""
    try:
        hide(folder)
    except OSError as error:
        raise StateError(f"{folder / '.gitignore'} cannot be written: {error.strerror}") from error
