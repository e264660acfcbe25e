"""How a delegate run stands, as the session that works for it needs to know (C-3)."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any

from maestro.errors import BadInput, MaestroError
from maestro.model.offer import Offer
from maestro.store.claims import live_runs
from maestro.store.layout import Layout
from maestro.store.offers import Offers, has_reported
from maestro.store.standing import finished, is_alive, known_run, newest_runs, result_of_run

POLL_SECONDS = 0.02
"""Between two looks at a few names in a folder: a session waits for its next launch no longer than this."""

ALIVE_SECONDS = 0.5
"""How often the kernel is asked whether the coordinator lives."""

_OVER = frozenset({"landed", "failed", "blocked", "cancelled"})


class CoordinatorDied(MaestroError):
    """The run cannot go on: nobody takes reports, nobody lands."""

    exit_code = 3


def live_delegate_runs(layout: Layout) -> list[str]:
    """Delegate runs whose coordinator is alive, by name."""
    return sorted(run for run in live_runs(layout.locks) if Offers(layout.delegate(run)).exists())


def delegate_run_meant(layout: Layout, run_id: str | None) -> str:
    """The run that is named, else the only one alive, else the newest; BadInput where that is not one delegate run."""
    if run_id is not None:
        if not Offers(layout.delegate(known_run(layout, run_id))).exists():
            raise BadInput(
                f"run {run_id} offers nothing to a session", hint="start one that does with `maestro delegate start`"
            )
        return run_id
    live = live_delegate_runs(layout)
    if len(live) > 1:
        raise BadInput(f"{len(live)} runs wait for a session here: {', '.join(live)}", hint="name one with --run-id")
    if live:
        return live[0]
    for newest in newest_runs(layout):
        if Offers(layout.delegate(newest)).exists():
            return newest
    raise BadInput(f"no run in {layout.repository} waits for a session", hint="start one with `maestro delegate start`")


def check_alive(layout: Layout, run_id: str) -> None:
    """CoordinatorDied where the run has neither a result nor a coordinator that will write one."""
    if not is_alive(layout, run_id) and finished(layout, run_id) is None:
        raise died(run_id)


def died(run_id: str) -> CoordinatorDied:
    """What to say and do then."""
    return CoordinatorDied(
        f"the coordinator of run {run_id} died before the end: nobody lands what its subagents do",
        hint=f"`maestro resume --run-id {run_id}`, left running, goes on with it and takes their reports; or stop "
        "them: what was landed stays, and a new `maestro delegate start` takes up the rest",
    )


def take_offers(layout: Layout, run_id: str, wait_seconds: float) -> list[Offer]:
    """Offers that are given out by this call, to nobody else.

    Waits until all that can start now is offered and there is something of it, or the run has ended, or the time is
    over; then whatever is there is given out. CoordinatorDied where the run died.
    """
    offers = Offers(layout.delegate(run_id))
    deadline = time.monotonic() + wait_seconds
    next_question = 0.0
    while True:
        now = time.monotonic()
        if now >= next_question:
            next_question = now + ALIVE_SECONDS
            check_alive(layout, run_id)
        over = now >= deadline or finished(layout, run_id) is not None
        if over or offers.is_settled():
            taken = [offer for offer in offers.ready() if offers.hand(offer)]
            if taken or over:
                return taken
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - now)))


def given_out(layout: Layout, run_id: str, tasks: Collection[str]) -> list[Offer]:
    """The offers of these tasks, which were given out before; BadInput where one was not, or needs nobody any more."""
    running = {offer.task: offer for offer in Offers(layout.delegate(run_id)).running() if not has_reported(offer)}
    if unknown := [task for task in tasks if task not in running]:
        raise BadInput(
            f"task {unknown[0]} is not given out by run {run_id}, or has been reported",
            hint=f"given out now: {', '.join(running) or 'none'}",
        )
    return [running[task] for task in dict.fromkeys(tasks)]


def delegate_object(layout: Layout, run_id: str, launched: Collection[Offer] = ()) -> dict[str, Any]:
    """What `maestro delegate` prints: the run, what to launch (in the order of the backlog), and what to do now."""
    result = result_of_run(layout, run_id)
    if result["status"] != "running":
        return result_only(result)
    tasks = {task: _task(entry) for task, entry in result["tasks"].items()}
    new = {offer.task for offer in launched}
    running = [offer.task for offer in Offers(layout.delegate(run_id)).running() if offer.task not in new]
    landing = [task for task, one in tasks.items() if one["state"] == "submitted"]
    under_way = {*running, *landing, *new}
    waiting = [task for task, one in tasks.items() if one["state"] not in _OVER and task not in under_way]
    place = {task: number for number, task in enumerate(tasks)}  # workspaces are ready in any order
    launch = [_launch(offer) for offer in sorted(launched, key=lambda offer: place.get(offer.task, len(place)))]
    return _object(result, tasks, launch, sorted(running, key=lambda task: place.get(task, 0)), landing, waiting)


def result_only(result: dict[str, Any]) -> dict[str, Any]:
    """The same for a run that has ended, from its result object."""
    return _object(result, {task: _task(entry) for task, entry in result["tasks"].items()})


def _object(
    result: dict[str, Any],
    tasks: dict[str, Any],
    launch: Sequence[dict[str, Any]] = (),
    running: Sequence[str] = (),
    landing: Sequence[str] = (),
    waiting: Sequence[str] = (),
) -> dict[str, Any]:
    answer = {
        "run_id": result["run_id"],
        "status": result["status"],
        "reason": result.get("reason", ""),
        "integration_branch": result.get("integration_branch"),
        "launch": list(launch),
        "running": list(running),
        "landing": list(landing),
        "waiting": list(waiting),
        "tasks": tasks,
    }
    return {**answer, "next": what_now(answer)}


def what_now(answer: dict[str, Any]) -> str:
    """One sentence for the session."""
    again = f"`maestro delegate next --run-id {answer['run_id']} --wait 60 --json`"
    if answer["status"] != "running":
        landed = sum(one["status"] == "landed" for one in answer["tasks"].values())
        because = f" ({answer['reason']})" if answer["reason"] else ""
        return f"The run has ended, {answer['status']}{because}: {landed} of {len(answer['tasks'])} tasks landed."
    if answer["launch"]:
        count = len(answer["launch"])
        them = "this subagent with its" if count == 1 else f"these {count} subagents in one message, each with its"
        return f"Launch {them} prompt as it is; when one has ended, run {again}."
    if answer["running"]:
        return (
            f"Let the subagents of {_named(answer['running'])} go on; when one has ended, run {again}, "
            "with `--again TASK` where nobody works on a task any more."
        )
    if answer["landing"]:
        return f"{_named(answer['landing'])}: reported, and landing now; run {again}."
    return f"Nothing can start at this moment; run {again}."


def _named(tasks: list[str]) -> str:
    most = 5
    more = f" and {len(tasks) - most} more" if len(tasks) > most else ""
    return ", ".join(tasks[:most]) + more


def _task(entry: dict[str, Any]) -> dict[str, Any]:
    """Finer than the words of C-1a: what is offered, given out and reported is told apart."""
    return {"status": entry["status"], "state": entry.get("state", entry["status"]), "reason": entry["reason"]}


def _launch(offer: Offer) -> dict[str, Any]:
    return {
        "task": offer.task,
        "attempt": offer.attempt,
        "subagent_type": offer.subagent_type,
        "wanted_subagent": offer.wanted_subagent,
        "why": offer.why,
        "description": offer.description,
        "prompt": offer.prompt,
        "workspace": str(offer.workspace),
    }
