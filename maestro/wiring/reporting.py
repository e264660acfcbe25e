"""A report brought to the run that waits for it (A-2, C-3), whichever door it came in by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maestro.agents.report import parse_report
from maestro.errors import BadInput
from maestro.model.report import BadReport, Report
from maestro.store.delegated import delegate_run_meant, died, live_delegate_runs
from maestro.store.layout import Layout
from maestro.store.offers import Offers, deliver, has_reported, write_report_once
from maestro.store.standing import finished, is_alive


def take_report(
    given: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    layout: Callable[[], Layout],
    task: str | None = None,
    run_id: str | None = None,
    attempt: int | None = None,
) -> dict[str, Any]:
    """Check a report and bring it where it is waited for; what was taken, as `--json` shows it. BadInput where it
    cannot be used, or nobody waits for it.

    Without a task it is that of the agent whose variables `environ` holds; `layout` is asked for only where the
    report is not for that agent's own report file.
    """
    report = checked(given)
    mine = environ.get("MAESTRO_TASK_ID", "")
    task = task if task is not None else mine
    if not task:
        raise BadInput("whose report is it", hint="name the task with --task T")
    own_run = environ.get("MAESTRO_RUN_ID", "") if task == mine else ""
    report_file = environ.get("MAESTRO_REPORT_FILE", "")
    if own_run and report_file and run_id in (None, own_run):
        # of an agent that maestro itself started: it is read when the agent has ended
        write_report_once(Path(report_file), report)
        run_id = own_run
    else:
        run_id = _deliver(layout(), task, report, run_id or own_run or None, attempt)
    return {"run_id": run_id, "task": task, "status": report.status}


def checked(given: Mapping[str, Any]) -> Report:
    """The report, by the rules of the file (A-2)."""
    report = parse_report(json.dumps(dict(given)).encode())
    if isinstance(report, BadReport):
        raise BadInput(report.reason, hint="see `maestro report --help`")
    if report.status == "no_change" and not report.summary.strip():
        raise BadInput("no_change needs a reason", hint="say with --summary why nothing has to change")
    return report


def _deliver(layout: Layout, task: str, report: Report, run_id: str | None, attempt: int | None) -> str:
    """To the run that waits for it; its id."""
    run_id = delegate_run_meant(layout, run_id) if run_id is not None else _run_of(layout, task)
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


def _run_of(layout: Layout, task: str) -> str:
    """The only live run that has given the task out; the newest delegate run where none is alive."""
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
