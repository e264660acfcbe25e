"""Runs that came to no end: which there are, and what they mean for one that begins over the same tasks (E-8)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from maestro.errors import Busy, StateError
from maestro.model.states import RunStatus
from maestro.proc.family import census
from maestro.proc.roles import GATEWAY
from maestro.store.blueprint import read_blueprint
from maestro.store.layout import Layout
from maestro.store.standing import finished, is_alive
from maestro.wiring.untold import TAKEN_OVER


def unfinished_runs(layout: Layout) -> Iterator[str]:
    """Runs that died, were interrupted or wait for a person, and that nobody works on, by name."""
    yield from (name for name in _all_runs(layout) if is_unfinished(layout, name))


def is_unfinished(layout: Layout, run_id: str) -> bool:
    """Whether `maestro resume` is for this run."""
    if not layout.blueprint(run_id).exists() or is_alive(layout, run_id):
        return False
    result = finished(layout, run_id)
    return result is None or result["status"] in (RunStatus.INTERRUPTED, RunStatus.BLOCKED)


def _dead_runs(layout: Layout) -> Iterator[str]:
    """Those that came to no end. Without reading a file of the others: there may be a thousand."""
    for name in _all_runs(layout):
        if not layout.summary(name).exists() and layout.blueprint(name).exists() and not is_alive(layout, name):
            yield name


def _all_runs(layout: Layout) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(layout.runs) if entry.is_dir())
    except FileNotFoundError:
        return []


def beside_dead_runs(layout: Layout, identity: str, tasks: Sequence[str]) -> tuple[str, ...]:
    """What is to be said of runs over the same tasks that died. Busy where agents of one still work: two on one task
    help nobody."""
    markers: list[str] | None = None
    remarks = []
    for name in _dead_runs(layout):
        try:
            blueprint = read_blueprint(layout.blueprint(name))
        except StateError:
            continue  # damaged: it tells of no process either
        if blueprint.tracker_identity != identity or blueprint.plan.tasks.keys().isdisjoint(tasks):
            continue
        markers = list(census()) if markers is None else markers
        from maestro.store.belonging import original_of  # seldom has any died

        if original_of(layout, name) is not None:
            continue  # its agents work on the tasks of the repository that this one was copied from
        prefix = f"{blueprint.token}/{name}/"
        if alive := sum(one.startswith(prefix) and not one.startswith(f"{prefix}{GATEWAY}/") for one in markers):
            who = "an agent of it still works" if alive == 1 else f"{alive} of its agents still work"
            raise Busy(
                f"run {name} over this backlog has died, and {who}",
                hint=f"go on with it: maestro resume --run-id {name}; or end it: maestro cleanup-orphans --force",
            )
        if not (layout.run(name) / TAKEN_OVER).exists():
            goes_on = f"`maestro resume --run-id {name}` would go on with it"
            remarks.append(f"run {name} over this backlog has died; {goes_on}, and this run begins its open tasks anew")
    return tuple(remarks)
