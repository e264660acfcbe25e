"""How long what is kept is kept: refs of work that did not land, and folders of runs that landed all (W-6).

By default for ever. A number of days counts from the latest of: the run's end, the commit, and the day on which a
command saved it afterwards. What belongs to a run that did not end, or of which nothing is known, never goes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maestro.clock import as_z
from maestro.errors import Busy, StateError
from maestro.integration.checkpoint import forget_checkpoints
from maestro.model.events import RunEnded
from maestro.model.ids import is_plain, safe_names
from maestro.model.record import Record
from maestro.store.atomic import write_atomically
from maestro.store.claims import hold_dead
from maestro.store.journal import read_journal
from maestro.store.layout import Layout
from maestro.store.standing import finished, is_alive
from maestro.vcs.git import Git
from maestro.vcs.parse import printable
from maestro.workspaces.removal import remove_tree
from maestro.workspaces.saving import SAVED, forget_saved, saved_refs

SAVED_LATER = "saved-later.json"
"""In a run's folder: when work of it was last saved after its end."""


class Saved(Record):
    """A ref that keeps work which did not land."""

    ref: str
    run_id: str
    task: str
    commit: str
    date: datetime  # of the commit
    size_bytes: int  # what nothing but saved refs keeps
    subject: str = ""
    kept_since: datetime | None = None  # from when its days count; None: it is kept for ever


def list_saved(git: Git, layout: Layout, run_id: str | None = None) -> list[Saved]:
    """All saved refs, or those of one run, by name."""
    under = f"{SAVED}/{run_id}/" if run_id else f"{SAVED}/"
    lines = git.text("for-each-ref", f"--format={_FORMAT}", under).split("\n")
    return [_saved(git, layout, *line.split("\0", 3)) for line in lines if line]


def expired_refs(git: Git, layout: Layout, days: int | None, now: datetime, run_id: str | None = None) -> list[Saved]:
    """Those that were kept for longer than so many days; none without a number."""
    if days is None:
        return []
    limit = now - timedelta(days=days)
    return [one for one in list_saved(git, layout, run_id) if one.kept_since is not None and one.kept_since < limit]


def forget_refs(git: Git, expired: Iterable[Saved]) -> list[Saved]:
    """Delete the refs that are still what they were; those that were deleted. Their commits go when git collects
    garbage."""
    return [one for one in expired if forget_saved(git, one.ref, one.commit)]


def expired_runs(git: Git, layout: Layout, days: int | None, now: datetime, names: Iterable[str]) -> list[str]:
    """Runs that ended longer ago than so many days, landed all and have nothing saved; none without a number."""
    if days is None:
        return []
    limit = now - timedelta(days=days)
    return [name for name in names if _landed_all_before(layout, name, limit) and not saved_refs(git, name)]


def remove_run(git: Git, layout: Layout, run_id: str, now: datetime) -> bool:
    """Remove the folder of a run, and its checkpoints, to which nobody can go back without a journal. False where
    somebody has taken the run up. MaestroError where it cannot be."""
    try:
        held = hold_dead(layout.locks, run_id=run_id, since=as_z(now))
    except Busy:
        return False
    try:
        remove_tree(layout.run(run_id))
        forget_checkpoints(git, run_id)
    finally:
        held.release()
    return True


def note_saving(layout: Layout, run_id: str, now: datetime) -> None:
    """Write down, before it is done, that work of a run is saved now; its days begin anew. Its folder may be gone."""
    if layout.run(run_id).is_dir():
        with contextlib.suppress(StateError):  # a full disk refuses to save, too
            write_atomically(layout.run(run_id) / SAVED_LATER, json.dumps({"at": as_z(now)}).encode())


_FORMAT = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(contents:subject)"


def _saved(git: Git, layout: Layout, ref: str, commit: str, date: str, subject: str) -> Saved:
    run_id, _, name = ref.removeprefix(f"{SAVED}/").partition("/")
    when = datetime.fromtimestamp(int(date), UTC)
    size = git.text("rev-list", "--objects", "--disk-usage", commit, "--not", "--branches", "--remotes", "--tags")
    return Saved(
        ref=ref,
        run_id=run_id,
        task=_task(layout, run_id, name),
        commit=commit,
        date=when,
        size_bytes=int(size),
        subject=printable(subject),
        kept_since=_kept_since(layout, run_id, when),
    )


def _kept_since(layout: Layout, run_id: str, commit_date: datetime) -> datetime | None:
    end = ended_at(layout, run_id)
    if end is None:
        return None
    return max(end, commit_date, _later(layout.run(run_id) / SAVED_LATER) or end)


def ended_at(layout: Layout, run_id: str) -> datetime | None:
    """When a run came to its end; None where it did not, or nobody knows."""
    if not is_plain(run_id) or not layout.summary(run_id).exists() or is_alive(layout, run_id):
        return None
    try:
        events = read_journal(layout.journal(run_id)).events
    except StateError:
        return None
    return events[-1].at if events and any(isinstance(event, RunEnded) for event in events) else None


def _task(layout: Layout, run_id: str, name: str) -> str:
    """The task that a ref is named after; the name where nothing is known of its run."""
    try:
        tasks = (finished(layout, run_id) or {}).get("tasks", {}) if is_plain(run_id) else {}
    except StateError:
        tasks = {}
    names = {safe: task for task, safe in safe_names(tasks).items()}
    first, _, number = name.rpartition("-")
    return names.get(name) or (names.get(first) if number.isdigit() else None) or name


def _landed_all_before(layout: Layout, run_id: str, limit: datetime) -> bool:
    try:
        result = finished(layout, run_id) or {}
        written = datetime.fromtimestamp(layout.summary(run_id).stat().st_mtime, UTC) if result else None
    except (StateError, OSError):
        return False
    landed = all(one["status"] == "landed" for one in result.get("tasks", {}).values())
    if written is None or written >= limit or result.get("status") != "completed" or not landed:
        return False
    end = ended_at(layout, run_id)
    return end is not None and end < limit


def _later(path: Path) -> datetime | None:
    try:
        when = datetime.fromisoformat(json.loads(path.read_bytes())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return when if when.tzinfo is not None else None
