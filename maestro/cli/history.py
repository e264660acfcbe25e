"""`maestro history`: all runs, how long they took, what landed and what it cost; of one run or one task, more."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.columns import columns
from maestro.cli.options import output_options
from maestro.errors import BadInput, StateError, sentence

if TYPE_CHECKING:
    from maestro.store.historydb import History
    from maestro.store.layout import Layout

SHOWN = 20


@click.command("history")
@click.option(
    "--limit", type=click.IntRange(min=1), default=SHOWN, metavar="N", help=f"The newest N runs (default: {SHOWN})."
)
@click.option("--run-id", metavar="ID", help="The tasks of this run.")
@click.option("--task", metavar="ID", help="Every attempt at this task.")
@click.option("--rebuild", is_flag=True, help="Make the history anew from the journals first.")
@output_options
@click.pass_obj
def command(app: App, limit: int, run_id: str | None, task: str | None, rebuild: bool) -> None:
    """Show the runs of this repository: how long they took, what landed, what was tried again, what it cost."""
    layout = app.layout()
    with _history(app, layout, rebuild=rebuild) as found:
        if run_id is not None and not found.select("SELECT 1 FROM runs WHERE run_id = ?", run_id):
            raise BadInput(
                f"there is no run {run_id} in the history of {layout.repository}", hint="`maestro history` lists them"
            )
        if task is not None:
            _show_attempts(app, found, task, run_id)
        elif run_id is not None:
            _show_run(app, found, run_id)
        else:
            _show_runs(app, found, limit)


@contextlib.contextmanager
def _history(app: App, layout: Layout, *, rebuild: bool) -> Iterator[History]:
    """The history as the journals say it, brought up to date where it is kept. A copy: whoever reads what is shown of
    it may take their time, and a run that ends meanwhile does not wait for them."""
    from maestro.store.historydb import history_in_memory
    from maestro.telemetry.history import bring_up_to_date

    was_ever_used = layout.runs.is_dir() or layout.history.exists()  # else a question leaves nothing behind
    with history_in_memory() as found:
        try:
            unreadable = _kept(layout, found, anew=rebuild) if was_ever_used else ()
        except StateError as error:
            if rebuild:
                raise
            app.output.warn(f"{sentence(error.message)} The journals are read instead.")
            unreadable = bring_up_to_date(layout, found)
        for run_id in unreadable:
            app.output.warn(f"the journal of run {run_id} cannot be read: the history does not have all of it")
        yield found


def _kept(layout: Layout, found: History, *, anew: bool) -> tuple[str, ...]:
    """Bring the file up to date and copy it; runs whose journals cannot be read."""
    from maestro.store.historydb import history
    from maestro.telemetry.history import bring_up_to_date

    with history(layout, anew=anew) as kept:
        unreadable = bring_up_to_date(layout, kept)
        kept.copy_to(found)
    return unreadable


def _show_runs(app: App, found: History, limit: int) -> None:
    runs = found.select("SELECT * FROM runs ORDER BY started_at DESC, run_id DESC LIMIT ?", limit)
    total = found.select("SELECT count(*) AS number FROM runs")[0]["number"]
    kinds = _kinds(found)
    if app.output.as_json:
        app.output.json({"runs": [_run_object(run) for run in runs], "total_runs": total, "kinds": kinds})
        return
    if not runs:
        app.output.text("No run yet.")
        return
    app.output.text(*columns([_HEADINGS, *map(_run_row, runs)]))
    if total > len(runs):
        app.output.text(f"… and {total - len(runs)} older runs")
    if kinds:
        rows = [(kind, f"{one['landed']} landed", f"{one['median_seconds']:.1f} s") for kind, one in kinds.items()]
        app.output.text("", "Median time of a landed task, by its kind:", *columns(rows))


_HEADINGS = ("RUN", "STATUS", "STARTED", "TOOK", "LANDED", "FAILED", "RETRIES", "COST", "")


def _run_row(run: dict[str, Any]) -> tuple[str, ...]:
    remarks = [
        "went sequential" if run["went_sequential"] else "",
        f"resumed {run['resumed']} times" if run["resumed"] > 1 else "resumed" if run["resumed"] else "",
        "rolled back" if run["rolled_back"] else "",
    ]
    return (
        run["run_id"],
        run["status"],
        run["started_at"][:19].replace("T", " "),
        _span(run["wall_seconds"]),
        f"{run['landed']}/{run['tasks']}",
        str(run["failed"]),
        str(run["retries"]),
        _cost(run["cost_usd"]),
        ", ".join(filter(None, remarks)),
    )


def _show_run(app: App, found: History, run_id: str) -> None:
    [run] = found.select("SELECT * FROM runs WHERE run_id = ?", run_id)
    tasks = found.select("SELECT * FROM tasks WHERE run_id = ? ORDER BY rowid", run_id)
    if app.output.as_json:
        query = "SELECT * FROM {} WHERE run_id = ? ORDER BY rowid"
        extra = {
            table: [_without_run(row) for row in found.select(query.format(table), run_id)]
            for table in ("attempts", "landings", "gates", "waits", "spend")
        }
        app.output.json({**_run_object(run), "tasks": [_without_run(task) for task in tasks], **extra})
        return
    app.output.text(*columns([_HEADINGS, _run_row(run)]))
    if run["went_sequential"]:
        app.output.text(f"Went sequential: {run['went_sequential']}")
    if run["reason"]:
        app.output.text(sentence(run["reason"]))
    rows = [
        (one["task"], one["state"], _times(one["attempts"]), _span(one["seconds"]), _cost(one["cost_usd"]),
         (one["commit_id"] or "")[:10], one["reason"])
        for one in tasks
    ]  # fmt: skip
    app.output.text("", *columns(rows))


def _show_attempts(app: App, found: History, task: str, run_id: str | None) -> None:
    attempts = found.select(
        "SELECT * FROM attempts WHERE task = ? AND run_id = coalesce(?, run_id) ORDER BY started_at, attempt",
        task,
        run_id,
    )
    landings = found.select(
        "SELECT * FROM landings WHERE task = ? AND run_id = coalesce(?, run_id) ORDER BY at", task, run_id
    )
    if not attempts and not landings and not found.select("SELECT 1 FROM tasks WHERE task = ?", task):
        raise BadInput(
            f"no run here knows a task {task!r}", hint="`maestro history --run-id ID` lists the tasks of one"
        )
    if app.output.as_json:
        app.output.json({"task": task, "attempts": attempts, "landings": landings})
        return
    rows = [
        (one["run_id"], f"attempt {one['attempt']}", one["agent"], one["outcome"], _span(one["seconds"]),
         _cost(one["cost_usd"]), one["reason"])
        for one in attempts
    ]  # fmt: skip
    app.output.text(*columns(rows))
    for one in landings:
        undone = " and was rolled back" if one["undone"] else ""
        app.output.text(f"Landed in run {one['run_id']} as {(one['commit_id'] or 'no change')[:10]}{undone}.")


def _kinds(found: History) -> dict[str, dict[str, Any]]:
    """Kind → how many tasks of it have landed, and the median of their seconds."""
    rows = found.select("SELECT kind, seconds FROM tasks WHERE state = 'landed' AND kind != '' AND seconds IS NOT NULL")
    known: dict[str, list[float]] = {}
    for row in rows:
        known.setdefault(row["kind"], []).append(row["seconds"])
    return {
        kind: {"landed": len(seconds), "median_seconds": round(statistics.median(seconds), 3)}
        for kind, seconds in sorted(known.items())
    }


def _run_object(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "journal_bytes"}


def _without_run(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "run_id"}


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def _cost(usd: float | None) -> str:
    return "" if usd is None else f"${usd:.2f}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes = int(seconds) // 60
    return f"{minutes}m {int(seconds) % 60:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"
