"""`maestro clean`: remove workspaces; what is not landed stays, or is saved first (W-6)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import complete_folder, output_options
from maestro.store.layout import Layout
from maestro.store.standing import finished, is_alive

if TYPE_CHECKING:
    from maestro.vcs.git import Git
    from maestro.wiring.elsewhere import Elsewhere
    from maestro.wiring.orphans.kinds import Cleared, Orphan
    from maestro.workspaces.janitor import Cleaned, Found

MEGABYTE = 1 << 20


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--force", is_flag=True, help="Remove unlanded ones too; their work is saved first.")
@click.option("--saved", is_flag=True, help="List what is saved, and remove nothing.")
@click.option("--run-id", metavar="ID", help="Only those of this run.")
@click.option(
    "--workspace-root", metavar="DIR", help="The folder that holds the workspaces.", shell_complete=complete_folder
)
@output_options
@click.pass_obj
def command(app: App, dry_run: bool, force: bool, saved: bool, run_id: str | None, workspace_root: str | None) -> int:
    """Remove workspaces whose work has landed, and the branches they leave.

    Work that has not landed stays where it is; with --force it is saved under refs/maestro/saved first. What is saved
    is kept for ever, unless keep_saved_days says otherwise: then --force deletes what is older.
    """
    if saved:
        return _list_saved(app, run_id)
    from maestro.clock import SystemClock
    from maestro.vcs.git import Git
    from maestro.wiring.elsewhere import Elsewhere
    from maestro.wiring.orphans.expired import clear_expired, find_expired
    from maestro.workspaces.janitor import clean, list_workspaces
    from maestro.workspaces.roots import default_root

    layout, git = app.layout(), Git(app.repository(), env=app.environ)
    settings = app.load({"workspace_root": workspace_root}, repository=layout.repository).settings
    root = settings.workspace_root or default_root(layout.repository, app.environ)
    runs = _runs_below(root)
    live, landed = {run for run in runs if is_alive(layout, run)}, set(_landed(layout, runs))
    listed = list_workspaces(git, root, live_runs=live, landed=landed)
    elsewhere = Elsewhere(git, layout)
    found = [one for one in listed if run_id in (None, one.run_id) and elsewhere.keeper_of(one.run_id) is None]
    now = SystemClock().now()
    expired = find_expired(git, layout, settings, now, run_id)  # before anything is saved: that is new
    if dry_run:
        cleaned = clean(git, root, found, dry_run=True, force=force)
    else:
        found, cleaned = _clean_held(layout, git, root, found, landed, force=force, now=now)
    branches = _prune(layout, git, elsewhere, run_id, dry_run=dry_run)
    if not dry_run:
        own = {run for run in runs if layout.run(run).is_dir() and elsewhere.keeper_of(run) is None}
        own |= {one.run_id for one in found}
        _sweep(layout, root, [run for run in runs if run in own and run_id in (None, run)])
        _forget_dead_claims(layout)
    gone = clear_expired(git, layout, expired, now) if force and not dry_run else []
    _tell(app, found, cleaned, branches, expired.orphans, gone, dry_run=dry_run)
    return 1 if any(_failed(one, force=force) for one in cleaned) or any(one.failed for one in gone) else 0


def _list_saved(app: App, run_id: str | None) -> int:
    """What is kept of work that did not land: nothing but these refs keeps it."""
    from maestro.vcs.git import Git
    from maestro.wiring.retention import list_saved

    saved = list_saved(Git(app.repository(), env=app.environ), app.layout(), run_id)
    if app.output.as_json:
        app.output.json({"saved": [one.model_dump(mode="json", exclude={"kept_since"}) for one in saved]})
        return 0
    rows = [
        (one.run_id, one.task, f"{one.date:%Y-%m-%d %H:%M}", f"{_kilobytes(one.size_bytes)}", one.ref, one.subject)
        for one in saved
    ]
    app.output.text(*columns(rows))
    size = _kilobytes(sum(one.size_bytes for one in saved))
    app.output.text(f"{_counted(len(saved), 'piece', 's')} of work saved ({size}).")
    if saved:
        app.output.note(f"`git show REF` shows one, `git branch NAME {saved[0].ref}` makes a branch of it.")
    return 0


def _kilobytes(size: int) -> str:
    return f"{-(-size // 1024)} KB"


def _clean_held(
    layout: Layout,
    git: Git,
    root: Path,
    found: list[Found],
    landed: set[tuple[str, str]],
    *,
    force: bool,
    now: datetime,
) -> tuple[list[Found], tuple[Cleaned, ...]]:
    """Clean the workspaces of one run after the other, each run held meanwhile. They are looked at again then."""
    from maestro.wiring.retention import note_saving
    from maestro.workspaces.janitor import WorkspaceState, clean, list_workspaces

    seen = [one for one in found if one.state in (WorkspaceState.LIVE, WorkspaceState.UNKNOWN)]
    cleaned = list(clean(git, root, seen, force=force))
    for run_id in sorted({one.run_id for one in found if one not in seen}):
        with _held(layout, run_id) as is_dead:
            live = () if is_dead else (run_id,)
            again = list_workspaces(git, root, live_runs=live, landed=landed, run_id=run_id)
            again = tuple(one for one in again if one.home not in {other.home for other in seen})
            seen += again
            if force and any(one.state is WorkspaceState.UNLANDED for one in again):
                note_saving(layout, run_id, now)
            done = clean(git, root, again, force=force)
        cleaned += done
    return seen, tuple(cleaned)


def _runs_below(root: Path) -> list[str]:
    return [entry.name for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []


def _landed(layout: Layout, runs: list[str]) -> Iterator[tuple[str, str]]:
    """(run, task name) of all that landed, also where a squash hides it from git."""
    from maestro.model.ids import safe_names

    for run in runs:
        tasks = (finished(layout, run) or {}).get("tasks", {})
        names = safe_names(tasks)
        yield from ((run, names[task]) for task, one in tasks.items() if one["status"] == "landed" and one["attempts"])


def _sweep(layout: Layout, root: Path, runs: list[str]) -> None:
    """Remove what a crash left of removed workspaces, and empty folders: of runs of ours. Others may have folders
    below the same root."""
    from maestro.workspaces.janitor import sweep_rubbish

    for run in runs:
        with _held(layout, run) as is_dead:
            if is_dead:
                sweep_rubbish(root / run)


def _prune(layout: Layout, git: Git, elsewhere: Elsewhere, only: str | None, *, dry_run: bool) -> list[str]:
    """Branches of tasks that are on another branch or saved; those of live runs stay."""
    from maestro.workspaces.janitor import prune_branches

    refs = git.text("for-each-ref", "--format=%(refname)", "refs/heads/maestro/").splitlines()
    runs = sorted({ref.split("/")[3] for ref in refs})
    gone: list[str] = []
    for run in runs:
        if only not in (None, run) or is_alive(layout, run) or elsewhere.keeper_of(run) is not None:
            continue
        with contextlib.nullcontext(True) if dry_run else _held(layout, run) as is_dead:
            gone += prune_branches(git, run, dry_run=dry_run) if is_dead else ()
    return gone


@contextlib.contextmanager
def _held(layout: Layout, run_id: str) -> Iterator[bool]:
    """Keep a run that is dead from being resumed meanwhile: it must not lose what it has just taken over. False where
    its coordinator lives."""
    from maestro.clock import SystemClock, as_z
    from maestro.errors import Busy
    from maestro.model.ids import is_plain
    from maestro.store.claims import hold_dead

    if not is_plain(run_id):  # no run has such a name
        yield True
        return
    try:
        held = hold_dead(layout.locks, run_id=run_id, since=as_z(SystemClock().now()))
    except Busy:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def _forget_dead_claims(layout: Layout) -> None:
    """Claims of runs that died count for nothing; their files go under the lock that every claim is made under."""
    from maestro.store.filelocks import is_held, locked

    live = layout.locks / "live"
    if not live.is_dir():
        return
    with locked(layout.locks / "claim.lock"):
        for path in live.glob("*.json"):
            if not is_held(path):
                path.unlink(missing_ok=True)


def _failed(one: Cleaned, *, force: bool) -> bool:
    from maestro.workspaces.janitor import WorkspaceState

    wanted = {WorkspaceState.LANDED, WorkspaceState.PARKED} | ({WorkspaceState.UNLANDED} if force else set())
    return one.state in wanted and not one.removed


def _tell(
    app: App,
    found: list[Found],
    cleaned: tuple[Cleaned, ...],
    branches: list[str],
    expired: list[Orphan],
    gone: list[Cleared],
    *,
    dry_run: bool,
) -> None:
    if app.output.as_json:
        entries: list[dict[str, Any]] = [
            {"run_id": one.run_id, "task": one.task_id, **done.model_dump(mode="json")}
            for one, done in zip(found, cleaned, strict=True)
        ]
        deleted = {one.orphan.place for one in gone if one.done}
        aged = [{"kind": one.kind.value, "place": one.place, "removed": one.place in deleted} for one in expired]
        app.output.json({"dry_run": dry_run, "workspaces": entries, "branches": branches, "expired": aged})
        return
    removed = "would be removed" if dry_run else "removed"
    rows = [
        (
            done.state.value,
            one.run_id,
            one.task_id,
            f"{done.size_bytes // MEGABYTE} MB",
            (removed if done.removed else f"stays: {done.reason}")
            + (f", saved as {done.saved_ref}" if done.saved_ref else ""),
            str(done.home),
        )
        for one, done in sorted(zip(found, cleaned, strict=True), key=lambda pair: pair[1].state.value)
    ]
    app.output.text(*columns(rows))
    _tell_expired(app, expired, gone)
    freed = sum(done.size_bytes for done in cleaned if done.removed) // MEGABYTE
    count = sum(done.removed for done in cleaned)
    app.output.text(
        f"{_counted(count, 'workspace', 's')} ({freed} MB) and {_counted(len(branches), 'branch', 'es')} {removed}."
    )


def _tell_expired(app: App, expired: list[Orphan], gone: list[Cleared]) -> None:
    """What was kept long enough; it goes with --force alone."""
    said = {one.orphan.place: "removed" if one.done else f"stays: {one.why}" for one in gone}
    app.output.text(
        *columns((said.get(one.place, "stays: --force removes it"), f"{one.what}: {one.reason}") for one in expired)
    )


def _counted(number: int, what: str, plural: str) -> str:
    return f"{number} {what}{'' if number == 1 else plural}"
