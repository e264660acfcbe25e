"""How runs and groups stand, read from the state directory: as little of it as the question needs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro.errors import BadInput, StateError
from maestro.model.ids import is_plain
from maestro.store.claims import working_runs
from maestro.store.filelocks import is_held
from maestro.store.layout import Layout

if TYPE_CHECKING:
    from maestro.model.run import Run

SHOWN = 10
"""Runs shown when none is named; only these are read."""

DIED = "its coordinator died before the end"


def newest_runs(layout: Layout) -> list[str]:
    """All run ids, the one that changed last first."""
    try:
        with os.scandir(layout.runs) as entries:
            # one that begins with a dot is on its way out
            named = [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
            runs = [(entry.stat().st_mtime_ns, entry.name) for entry in named]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for _, name in sorted(runs, reverse=True)]


def known_run(layout: Layout, run_id: str) -> str:
    """The run id, or BadInput where there is no such run here."""
    if not is_plain(run_id) or not layout.run(run_id).is_dir():
        raise BadInput(f"there is no run {run_id} in {layout.repository}", hint="`maestro status` lists the runs")
    return run_id


def run_meant(layout: Layout, run_id: str | None) -> str:
    """The run that is named, or the only one that is under way here; BadInput where that is not one."""
    if run_id is not None:
        return known_run(layout, run_id)
    live = sorted(working_runs(layout.locks))
    if len(live) == 1:
        return live[0]
    if live:
        raise BadInput(f"{len(live)} runs are under way here: {', '.join(live)}", hint="name one with --run-id")
    raise BadInput(f"no run is under way in {layout.repository}", hint="`maestro status` lists the runs")


def is_alive(layout: Layout, run_id: str) -> bool:
    """Whether the run's coordinator lives: the kernel frees its lock with it."""
    return is_plain(run_id) and is_held(layout.locks / "live" / f"{run_id}.json")


def finished(layout: Layout, run_id: str) -> dict[str, Any] | None:
    """The result object that the run wrote as its last act; None while there is none."""
    return read_object(layout.summary(run_id))


def result_of_run(layout: Layout, run_id: str) -> dict[str, Any]:
    """The result object of a run, finished or not, with `alive`. A run that died is `interrupted`."""
    result = finished(layout, run_id)
    if result is not None:
        return {**result, "alive": False}
    alive = is_alive(layout, run_id)  # before the journal is read, or a run that just ends would seem to have died
    run = fold_journal(layout, run_id)
    if run is None:
        status, reason = ("running", "") if alive else ("interrupted", DIED)
        return {"run_id": run_id, "status": status, "reason": reason, "tasks": {}, "alive": alive}
    from maestro.model.result import result_object
    from maestro.model.states import RunStatus, TaskState
    from maestro.store.offers import Offers

    result = result_object(run, {})
    offered = Offers(layout.delegate(run_id)).states()  # in a run whose tasks a session does
    for task in run.tasks.values():  # finer than the words of C-1a: running and submitted are told from pending
        state = task.state.value
        result["tasks"][task.id]["state"] = offered.get(task.id, state) if task.state is TaskState.RUNNING else state
        if alive and task.state is TaskState.RUNNING and (suspected := task.attempts[-1].suspected) is not None:
            result["tasks"][task.id]["suspected"] = suspected
    result["throttled"] = run.throttled if alive else None
    result["holds"] = _holds(run) if alive else []
    if alive and run.queued:
        result["waits"] = _waits(run)
    if run.status is RunStatus.RUNNING and not alive:
        late = finished(layout, run_id)
        if late is not None:
            return {**late, "alive": False}
        result |= {"status": "interrupted", "reason": DIED}
    return {**result, "alive": alive}


def _holds(run: Run) -> list[dict[str, Any]]:
    """The accounts that rest, and in words."""
    from maestro.clock import SystemClock, as_z
    from maestro.model.view import holds_of

    now = SystemClock().now()
    return [{**hold.model_dump(), "until": as_z(hold.until), "words": hold.words(now)} for hold in holds_of(run, now)]


def _waits(run: Run) -> list[dict[str, Any]]:
    """Who waits for which resource, and in words; without a task, the tests before landing."""
    from maestro.clock import as_z
    from maestro.model.view import waiting_words

    return [
        {
            "task": one.task,
            "resource": one.resource,
            "since": as_z(one.at),
            "holders": list(one.holders),
            "words": waiting_words(one),
        }
        for one in run.queued.values()
    ]


def newest_object(layout: Layout) -> dict[str, Any]:
    """The newest runs in brief, and how many there are in all."""
    ids = newest_runs(layout)
    return {"runs": [_brief(result_of_run(layout, run_id)) for run_id in ids[:SHOWN]], "total_runs": len(ids)}


def _brief(result: dict[str, Any]) -> dict[str, Any]:
    counts = Counter(str(task.get("state", task["status"])) for task in result["tasks"].values())
    return {
        "run_id": result["run_id"],
        "status": result["status"],
        "reason": result.get("reason", ""),
        "alive": result["alive"],
        "holds": result.get("holds", []),
        "integration_branch": result.get("integration_branch"),
        "counts": dict(counts),
    }


def fold_journal(layout: Layout, run_id: str) -> Run | None:
    """The run as its journal tells it; None where it has not begun to write."""
    from maestro.model.events import RunStarted
    from maestro.model.folding import fold
    from maestro.store.journal import read_journal

    path = layout.journal(run_id)
    events = read_journal(path).events if path.exists() else ()
    if not events or not isinstance(events[0], RunStarted):
        return None
    return fold(events)


def group_metadata(layout: Layout, group_id: str) -> dict[str, Any]:
    """The metadata.json of a group; BadInput where the group never ran here."""
    found = read_object(layout.metadata(group_id))
    if found is None:
        raise BadInput(f"there is no group {group_id} in {layout.repository}", hint="`maestro list` lists the groups")
    return found


def all_groups(layout: Layout) -> Iterator[dict[str, Any]]:
    """Every metadata.json, by the name of its folder; one that cannot be read raises StateError."""
    try:
        names = sorted(os.listdir(layout.groups))  # noqa: PTH208 - a name is all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        found = read_object(layout.groups / name / "metadata.json")
        if found is not None:
            yield found


def run_of_group(metadata: dict[str, Any]) -> str:
    """The run that works on the group; empty where the file does not say."""
    results = metadata.get("results") or [{}]
    return str(results[0].get("run_id", ""))


def read_object(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is no file, StateError where it holds something else."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise StateError(f"{path} cannot be read: it holds no JSON object")
    return found
