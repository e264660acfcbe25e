"""`maestro report`: how a task went, said by the agent that did it (A-2, C-3). Quick: it is many agents' last act."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import BadInput

if TYPE_CHECKING:  # pydantic is imported only once there is something to check
    from maestro.model.report import Report

STATUSES = ("done", "failed", "blocked", "no_change")


@click.command()
@click.option("--task", metavar="T", help="The task (default: the one that the agent was started for).")
@click.option("--status", type=click.Choice(STATUSES), required=True, help="How it went.")
@click.option("--summary", metavar="S", default="", help="What was done, or why not.")
@click.option("--confidence", type=float, metavar="C", help="How sure the agent is, from 0 to 1.")
@click.option("--note", "notes", multiple=True, metavar="N", help="What the next one should know; several times.")
@click.option(
    "--discovered", multiple=True, metavar="JSON", help="Work found and left alone: an object with a title; several."
)
@click.option("--run-id", metavar="R", help="The run (default: the one that waits for this task's report).")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="The attempt (default: the newest).")
@output_options
@click.pass_obj
def command(
    app: App,
    task: str | None,
    status: str,
    summary: str,
    confidence: float | None,
    notes: tuple[str, ...],
    discovered: tuple[str, ...],
    run_id: str | None,
    attempt: int | None,
) -> None:
    """Report how a task went. The first report of an attempt counts; what it claims is checked by what is committed."""
    report = _checked(
        {
            "status": status,
            "summary": summary,
            "confidence": confidence,
            "notes": list(notes),
            "discovered": [_object(text) for text in discovered],
        }
    )
    environ = app.environ
    mine = environ.get("MAESTRO_TASK_ID", "")
    task = task if task is not None else mine
    if not task:
        raise BadInput("whose report is it", hint="name the task with --task T")
    own_run = environ.get("MAESTRO_RUN_ID", "") if task == mine else ""
    report_file = environ.get("MAESTRO_REPORT_FILE", "")
    if own_run and report_file and run_id in (None, own_run):
        _leave(report_file, report)
        run_id = own_run
    else:
        run_id = _deliver(app, task, report, run_id or own_run or None, attempt)
    if app.output.as_json:
        app.output.json({"run_id": run_id, "task": task, "status": status})
    else:
        app.output.note(f"Task {task} of run {run_id} is reported {status}.")


def _leave(report_file: str, report: Report) -> None:
    """For an agent that maestro itself started: it reads the file when the agent has ended."""
    from pathlib import Path

    from maestro.store.offers import write_report_once

    write_report_once(Path(report_file), report)


def _deliver(app: App, task: str, report: Report, run_id: str | None, attempt: int | None) -> str:
    """To the run that waits for it; its id."""
    from maestro.store.delegated import delegate_run_meant, died
    from maestro.store.offers import Offers, deliver, has_reported
    from maestro.store.standing import finished, is_alive

    layout = app.layout_of_caller()
    run_id = delegate_run_meant(layout, run_id) if run_id is not None else _run_of(app, task)
    offers = Offers(layout.delegate(run_id))
    offer = offers.latest(task) if attempt is None else offers.offer(task, attempt)
    named = f"task {task}" if attempt is None else f"attempt {attempt} at task {task}"
    if offer is None or not offers.is_handed(offer):
        raise BadInput(
            f"{named} was not given out by run {run_id}",
            hint=f"`maestro delegate next --run-id {run_id}` gives out what is ready",
        )
    if offers.is_ended(offer):
        raise BadInput(
            f"{named} is over in run {run_id}: no report is taken any more",
            hint=f"`maestro status --run-id {run_id}` says what became of it",
        )
    if has_reported(offer):
        raise BadInput(f"{named} has been reported already", hint="one attempt, one report: the first one counts")
    deliver(offer, report)
    if not is_alive(layout, run_id) and finished(layout, run_id) is None:
        raise died(run_id)
    return run_id


def _run_of(app: App, task: str) -> str:
    """The only live run that has given the task out; the newest delegate run where none is alive."""
    from maestro.store.delegated import delegate_run_meant, live_delegate_runs
    from maestro.store.offers import Offers

    layout = app.layout_of_caller()
    live = live_delegate_runs(layout)
    having = []
    for run in live:
        offers = Offers(layout.delegate(run))
        offer = offers.latest(task)
        if offer is not None and offers.is_handed(offer):
            having.append(run)
    if len(having) > 1:
        raise BadInput(f"{len(having)} runs have given {task} out: {', '.join(having)}", hint="name one with --run-id")
    if having:
        return having[0]
    if len(live) > 1:
        raise BadInput(f"no run here has given task {task} out", hint="`maestro status` lists the runs")
    return delegate_run_meant(layout, None)


def _object(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise BadInput(
            f"--discovered is not JSON: {error}", hint='give an object: {"title": "…", "description": "…"}'
        ) from error


def _checked(given: dict[str, Any]) -> Report:
    """The report, by the rules of the file (A-2)."""
    import json

    from maestro.agents.report import parse_report
    from maestro.model.report import BadReport

    report = parse_report(json.dumps(given).encode())
    if isinstance(report, BadReport):
        raise BadInput(report.reason, hint="see `maestro report --help`")
    if report.status == "no_change" and not report.summary.strip():
        raise BadInput("no_change needs a reason", hint="say with --summary why nothing has to change")
    return report
