"""`maestro clean`: remove workspaces; what is not landed stays, or is saved first (W-6)."""

from __future__ import annotations

from collections.abc import Iterator
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
    from maestro.workspaces.janitor import Cleaned, Found

MEGABYTE = 1 << 20


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--force", is_flag=True, help="Remove unlanded ones too; their work is saved first.")
@click.option("--run-id", metavar="ID", help="Only those of this run.")
@click.option(
    "--workspace-root", metavar="DIR", help="The folder that holds the workspaces.", shell_complete=complete_folder
)
@output_options
@click.pass_obj
def command(app: App, dry_run: bool, force: bool, run_id: str | None, workspace_root: str | None) -> int:
    """Remove workspaces whose work has landed, and the branches they leave.

    Work that has not landed stays where it is; with --force it is saved under refs/maestro/saved first.
    """
    from maestro.vcs.git import Git
    from maestro.workspaces.janitor import clean, list_workspaces, sweep_rubbish
    from maestro.workspaces.roots import default_root

    layout, git = app.layout(), Git(app.repository(), env=app.environ)
    settings = app.load({"workspace_root": workspace_root}, repository=layout.repository).settings
    root = settings.workspace_root or default_root(layout.repository, app.environ)
    runs = _runs_below(root)
    live = {run for run in runs if is_alive(layout, run)}
    found = [
        one
        for one in list_workspaces(git, root, live_runs=live, landed=set(_landed(layout, runs)))
        if run_id in (None, one.run_id)
    ]
    cleaned = clean(git, root, found, dry_run=dry_run, force=force)
    branches = _prune(layout, git, run_id, dry_run=dry_run)
    if not dry_run:
        sweep_rubbish(root)
        _forget_dead_claims(layout)
    _tell(app, found, cleaned, branches, dry_run=dry_run)
    return 1 if any(_failed(one, force=force) for one in cleaned) else 0


def _runs_below(root: Path) -> list[str]:
    return [entry.name for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []


def _landed(layout: Layout, runs: list[str]) -> Iterator[tuple[str, str]]:
    """(run, task name) of all that landed, also where a squash hides it from git."""
    from maestro.model.ids import safe_names

    for run in runs:
        tasks = (finished(layout, run) or {}).get("tasks", {})
        names = safe_names(tasks)
        yield from ((run, names[task]) for task, one in tasks.items() if one["status"] == "landed" and one["attempts"])


def _prune(layout: Layout, git: Git, only: str | None, *, dry_run: bool) -> list[str]:
    """Branches of tasks that are on another branch or saved; those of live runs stay."""
    from maestro.workspaces.janitor import prune_branches

    refs = git.text("for-each-ref", "--format=%(refname)", "refs/heads/maestro/").splitlines()
    runs = sorted({ref.split("/")[3] for ref in refs})
    return [
        ref
        for run in runs
        if only in (None, run) and not is_alive(layout, run)
        for ref in prune_branches(git, run, dry_run=dry_run)
    ]


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


def _tell(app: App, found: list[Found], cleaned: tuple[Cleaned, ...], branches: list[str], *, dry_run: bool) -> None:
    if app.output.as_json:
        entries: list[dict[str, Any]] = [
            {"run_id": one.run_id, "task": one.task_id, **done.model_dump(mode="json")}
            for one, done in zip(found, cleaned, strict=True)
        ]
        app.output.json({"dry_run": dry_run, "workspaces": entries, "branches": branches})
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
    freed = sum(done.size_bytes for done in cleaned if done.removed) // MEGABYTE
    count = sum(done.removed for done in cleaned)
    app.output.text(
        f"{_counted(count, 'workspace', 's')} ({freed} MB) and {_counted(len(branches), 'branch', 'es')} {removed}."
    )


def _counted(number: int, what: str, plural: str) -> str:
    return f"{number} {what}{'' if number == 1 else plural}"
