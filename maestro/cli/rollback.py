"""`maestro rollback`: the integration branch and the tracker, back to a checkpoint (E-9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import output_options
from maestro.clock import as_z
from maestro.errors import BadInput

if TYPE_CHECKING:
    from maestro.model.events import Checkpoint
    from maestro.wiring.rollback import Rollback


@click.command("rollback")
@click.option(
    "--to", metavar="CHECKPOINT", help="start, group-X (before that group) or level-N; without it, they are listed."
)
@click.option("--run-id", metavar="ID", help="The run (default: the newest).")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@output_options
@click.pass_obj
def command(app: App, to: str | None, run_id: str | None, dry_run: bool) -> int:
    """Put the integration branch of a run back to a checkpoint, and open in the tracker what had landed since.

    What was on the branch is saved first. `maestro resume` does the tasks again.
    """
    from maestro.clock import SystemClock
    from maestro.store.standing import newest_runs
    from maestro.vcs.git import Git
    from maestro.wiring.rollback import checkpoints_of, roll_back

    layout, git = app.layout(), Git(app.repository(), env=app.environ)
    if run_id is None:
        started = [name for name in newest_runs(layout) if layout.journal(name).exists()]
        if not started:
            raise BadInput(f"no run was ever started in {layout.repository}")
        run_id = started[0]
    if to is None:
        _list(app, run_id, checkpoints_of(layout, run_id))
        return 0
    done = roll_back(git, layout, run_id, to, environ=app.environ, clock=SystemClock(), dry_run=dry_run)
    if app.output.as_json:
        app.output.json(_object(done, dry_run=dry_run))
    else:
        _say(app, done, dry_run=dry_run)
    return 1 if done.refused else 0


def _list(app: App, run_id: str, found: Sequence[tuple[Checkpoint, int]]) -> None:
    if app.output.as_json:
        entries = [
            {"name": one.name, "at": as_z(one.at), "branch": one.branch, "commit": one.commit, "landed_since": since}
            for one, since in found
        ]
        app.output.json({"run_id": run_id, "checkpoints": entries})
    elif not found:
        app.output.text(f"Run {run_id} has no checkpoints.")
    else:
        rows = [(one.name, one.commit[:10], str(since), one.branch) for one, since in found]
        app.output.text(f"Checkpoints of run {run_id}:", *columns([("NAME", "COMMIT", "LANDED SINCE", ""), *rows]))


def _object(done: Rollback, *, dry_run: bool) -> dict[str, object]:
    event = done.event
    return {
        "run_id": done.run_id,
        "checkpoint": event.checkpoint,
        "dry_run": dry_run,
        "needed": done.is_needed,
        "branch": event.branch,
        "from": event.expected,
        "to": event.commit,
        "removed_branches": sorted(event.removed),
        "saved_refs": list(event.saved_refs),
        "groups": list(done.groups),
        "tasks": [{"task": task, "commit": commit} for task, commit in done.commits.items()],
        "others": [{"commit": commit, "subject": subject} for commit, subject in done.others.items()],
        "refused": dict(done.refused),
    }


def _say(app: App, done: Rollback, *, dry_run: bool) -> None:
    event = done.event
    if not done.is_needed:
        app.output.text(f"Run {done.run_id} is at {event.checkpoint} already: nothing has landed since.")
        return
    would = "would be" if dry_run else "is"
    if event.expected != event.commit:
        app.output.text(f"{event.branch} {would} put back from {event.expected[:10]} to {event.commit[:10]}.")
    for branch in event.removed:
        app.output.text(f"{branch} {would} removed.")
    if done.commits:
        again = "would wait again" if dry_run else "wait again"
        app.output.text(f"{len(done.commits)} {'task' if len(done.commits) == 1 else 'tasks'} {again}:")
        app.output.text(
            *columns([("", task, (commit or "without a change")[:16]) for task, commit in done.commits.items()])
        )
    if done.others:
        goes = "would go with it, and would be" if dry_run else "goes with it, and is"
        app.output.text(f"What somebody else had added {goes} saved too:")
        app.output.text(*columns([("", commit[:10], subject) for commit, subject in done.others.items()]))
    opens = "would not open" if dry_run else "does not open"
    for task, why in done.refused.items():
        app.output.complain(f"the tracker {opens} {task} again: {why}")
    if not dry_run:
        for ref in event.saved_refs:
            app.output.text(f"What was there is saved as {ref}.")
        app.output.note(f"Do it again with: maestro resume --run-id {done.run_id}")
