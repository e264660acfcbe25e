"""Saved work and folders of runs that were kept as long as the user wants (W-6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from maestro.config.settings import Settings
from maestro.errors import MaestroError
from maestro.store.layout import Layout
from maestro.store.standing import newest_runs
from maestro.vcs.git import Git
from maestro.wiring.orphans.kinds import Cause, Cleared, Kind, Orphan
from maestro.wiring.retention import Saved, expired_refs, expired_runs, forget_refs, remove_run

_CHANGED = "somebody has changed it since"


@dataclass(frozen=True)
class Expired:
    """What is kept longer than the user wants."""

    saved: tuple[Saved, ...]
    runs: tuple[str, ...]
    settings: Settings

    @property
    def orphans(self) -> list[Orphan]:
        """The same as what is shown."""
        return [*map(self._of_ref, self.saved), *map(self._of_run, self.runs)]

    def _of_ref(self, one: Saved) -> Orphan:
        ended = f"its run ended more than {self.settings.keep_saved_days} days ago (keep_saved_days)"
        return Orphan(
            kind=Kind.SAVED_REF,
            what=one.ref,
            reason=f"work of task {one.task}, commit {one.commit[:12]} ({one.subject:.60}); {ended}",
            cause=Cause.EXPIRED,
            run_id=one.run_id,
            task=one.task,
            place=one.ref,
            size_bytes=one.size_bytes,
        )

    def _of_run(self, run_id: str) -> Orphan:
        ended = f"it ended more than {self.settings.keep_runs_days} days ago (keep_runs_days)"
        return Orphan(
            kind=Kind.RUN_FOLDER,
            what=f"the folder of run {run_id}",
            reason=f"all of the run has landed, and {ended}",
            cause=Cause.EXPIRED,
            run_id=run_id,
            place=run_id,
        )


def find_expired(git: Git, layout: Layout, settings: Settings, now: datetime, run_id: str | None = None) -> Expired:
    """Everything that has, or what is of one run. Look before anything is saved: that is new."""
    names: Iterable[str] = [run_id] if run_id is not None else []
    if run_id is None and settings.keep_runs_days is not None:
        names = reversed(newest_runs(layout))
    return Expired(
        saved=tuple(expired_refs(git, layout, settings.keep_saved_days, now, run_id)),
        runs=tuple(expired_runs(git, layout, settings.keep_runs_days, now, names)),
        settings=settings,
    )


def clear_expired(git: Git, layout: Layout, expired: Expired, now: datetime) -> list[Cleared]:
    """Delete refs that are still the same, and folders whose run nobody has taken up."""
    gone = {one.ref for one in forget_refs(git, expired.saved)}
    return [
        _removed(git, layout, one, now)
        if one.kind is Kind.RUN_FOLDER
        else Cleared(orphan=one, done=one.place in gone, why="" if one.place in gone else _CHANGED)
        for one in expired.orphans
    ]


def _removed(git: Git, layout: Layout, one: Orphan, now: datetime) -> Cleared:
    try:
        gone = remove_run(git, layout, one.place, now)
    except MaestroError as error:
        return Cleared(orphan=one, done=False, failed=True, why=error.message)
    return Cleared(orphan=one, done=gone, why="" if gone else _CHANGED)
