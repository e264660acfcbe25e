"""Which named resources are held or waited for, for whoever looks at a run (I-7). Changes nothing, makes no folder.

Mostly none is, so the settings are loaded where there is something to say only: `maestro status` must answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro.errors import MaestroError
from maestro.resources.locks.base import LockStatus, Resource, Scope
from maestro.resources.locks.place import main_checkout
from maestro.resources.locks.status import status
from maestro.store.layout import Layout
from maestro.store.machine import machine_path

if TYPE_CHECKING:
    from maestro.config.settings import Settings


def resources_in_use(
    load: Callable[[], Settings], repository: Path, run_ids: Iterable[str], environ: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Those of the repository and of these runs, whoever named them, and those of the machine that are configured here:
    `{"name", "scope", "capacity", "holders", "queue"}`, each holder and waiter with its task and run."""
    found = []
    for scope, folder, run_id in _folders(Layout(repository), run_ids, environ):
        for name in _names(folder):
            with suppress(MaestroError):
                one = status(folder, Resource(name, scope=scope))
                if one.holders or one.queue:
                    found.append(_object(one, scope, run_id))
    if not found:
        return []
    configured = load().resources
    ours = [one for one in found if one["scope"] != Scope.MACHINE or one["name"] in configured]
    return [{**one, "capacity": configured[one["name"]].slots if one["name"] in configured else 1} for one in ours]


def _folders(
    layout: Layout, run_ids: Iterable[str], environ: Mapping[str, str]
) -> Iterator[tuple[Scope, Path, str | None]]:
    yield Scope.REPO, Layout(main_checkout(layout.repository)).locks / "named", None
    for run_id in run_ids:
        yield Scope.RUN, layout.run(run_id) / "locks", run_id
    with suppress(MaestroError):
        yield Scope.MACHINE, machine_path(environ) / "locks", None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir() if one.is_dir())
    except OSError:
        return []


def _object(found: LockStatus, scope: Scope, run_id: str | None) -> dict[str, Any]:
    return {
        "name": found.name,
        "scope": scope.value,
        **({"run_id": run_id} if run_id is not None else {}),
        "capacity": found.capacity,
        "holders": [
            {"pid": one.pid, "task": one.task, "run": one.run, "what": one.what, "since": one.since, "token": one.token}
            for one in found.holders
        ],
        "queue": [{"pid": one.pid, "task": one.task, "run": one.run, "since": one.since} for one in found.queue],
    }


def resource_lines(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each, for people."""
    lines = []
    for one in found:
        holders = " and ".join(f"{_who(holder)} since {holder['since'][11:19]}Z" for holder in one["holders"])
        waiting = ", ".join(map(_who, one["queue"]))
        held = f"held by {holders}" if holders else "free"
        lines.append(f"Resource {one['name']}: {held}" + (f"; waiting: {waiting}" if waiting else ""))
    return lines


def _who(one: Mapping[str, Any]) -> str:
    who = f"task {one['task']}" if one["task"] else one.get("what") or f"process {one['pid']}"
    return f"{who} of run {one['run']}" if one["run"] else who
