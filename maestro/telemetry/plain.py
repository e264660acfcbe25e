"""One plain line per event, for pipes, logs and continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from maestro.model import events as e
from maestro.model.events import Event
from maestro.model.gate import GatePassed, GateRed, GateResult, GateSkipped, GateUnjudged
from maestro.model.outcome import describe
from maestro.telemetry.oneline import one_line

_NAMED = 10
"""Tasks named in one line."""


class PlainObserver:
    """An Observer; local time of day, then a sentence."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notify(self, event: Event) -> None:
        """Print the line of this event, where it has one."""
        said = line_of(event)
        if said is not None:
            self._stream.write(f"{event.at.astimezone():%H:%M:%S} {one_line(said)}\n")
            self._stream.flush()

    def restore(self, events: Sequence[Event]) -> None:
        """What happened before is no news."""

    def close(self) -> None:
        """The stream belongs to the caller."""


def line_of(event: Event) -> str | None:
    """What happened, in words; None for events that are no news to people."""
    if isinstance(event, e.RunResumed):
        return _resumed(event)
    return _of_task(event) or _of_run(event) or _of_account(event) or _of_resource(event)


def _of_task(event: Event) -> str | None:
    match event:
        case e.AttemptStarting():
            return f"task {event.task}: attempt {event.attempt} started ({event.agent})"
        case e.AttemptNoted():
            return f"task {event.task}: {event.note}"
        case e.AttemptSuspected():
            said = f"suspected: {event.reason}" if event.reason else "shows signs of life again"
            return f"task {event.task}: {said}"
        case e.AttemptStopping():
            return f"task {event.task}: stopping its agent: {event.reason}"
        case e.AttemptEnded():
            ended = f"attempt {event.attempt} ended after {event.seconds:.1f} s"
            return f"task {event.task}: {ended}: {describe(event.outcome)}"
        case e.TaskRequeued():
            later = f" in {event.delay_seconds:g} s" if event.delay_seconds else ""
            return f"task {event.task}: tried again{later}: {event.reason}"
        case e.ConflictSeen():
            return f"task {event.task}: conflict in {', '.join(event.conflict.paths)}"
        case e.Landed():
            what = f"as {event.commit[:10]} on {event.branch}" if event.commit else "without a change"
            return f"task {event.task}: landed {what}"
        case e.TaskFailed() | e.TaskBlocked() | e.TaskCancelled():
            word = event.type.removeprefix("task_")
            saved = f" (its work is saved under {event.saved_ref})" if event.saved_ref else ""
            return f"task {event.task}: {word}: {event.reason}{saved}"
        case e.TrackerWritten() if event.error is not None:
            return f"task {event.task}: the tracker could not be told: {event.error}"
        case e.TrackerAdded() if event.ids:
            return f"task {event.task}: what it discovered is now {', '.join(event.ids)}"
        case _:
            return None


def _of_run(event: Event) -> str | None:
    match event:
        case e.RunStarted():
            return (
                f"run {event.run_id}: {len(event.tasks)} tasks, schedule {event.schedule}, "
                f"at most {event.max_parallel} at once ({event.max_parallel_reason}), "
                f"from {event.base_branch} {event.base[:10]} onto {event.integration_branch}"
            )
        case e.Warned():
            return f"warning: {event.message}"
        case e.GroupMoved():
            return f"group {event.group}: {event.phase}, {event.status}"
        case e.GateStarted():
            return f"testing {_tried(event.tasks)}: {event.command}"
        case e.GateEnded():
            return f"tested {_tried(event.tasks)}: {gate_words(event.result)}"
        case e.CheckoutChanged():
            who = f", by task {event.task}" if event.task else ""
            return f"your checkout changed{who}: {'; '.join(event.changes)}"
        case e.Throttled():
            return f"no more is started for now: {event.reason}" if event.reason else "more is started again"
        case e.WentSequential():
            return f"one task at a time from here on: {event.reason}"
        case e.DispatchStopped():
            return f"nothing new is started: {event.reason}"
        case e.RollingBack():
            return f"rolled back to {event.checkpoint}: {len(event.tasks)} landed tasks wait again"
        case e.RunEnded():
            return f"run ended: {event.status}" + (f": {event.reason}" if event.reason else "")
        case _:
            return None


def _resumed(event: e.RunResumed) -> str:
    more = f" and {left} more" if (left := len(event.reopened) - _NAMED) > 0 else ""
    again = f"; tried again: {', '.join(event.reopened[:_NAMED])}{more}" if event.reopened else ""
    changed = "".join(f"; {name} is {value} now" for name, value in event.changed.items())
    return f"the run goes on{again}{changed}"


def _of_account(event: Event) -> str | None:
    match event:
        case e.AccountHeld(account=account, until=until, reason=reason, waiting=waiting):
            from maestro.model.view import HoldView  # models of a whole run, for a line that few runs print

            return HoldView(account=account, until=until, reason=reason, waiting=waiting).words(event.at)
        case e.AccountReleased():
            return f"{event.account} works again; what waited starts one after the other"
        case _:
            return None


def _of_resource(event: Event) -> str | None:
    match event:
        case e.ResourceQueued():
            from maestro.model.view import waiting_words

            return f"{_who(event.task)} {waiting_words(event)}"
        case e.ResourceTaken() if event.waited_seconds:
            return f"{_who(event.task)}: has {event.resource} after {event.waited_seconds:.1f} s"
        case _:
            return None


def _who(task: str | None) -> str:
    return "the gate" if task is None else f"task {task}"


def _tried(tasks: tuple[str, ...]) -> str:
    return ", ".join(tasks) or "the branch as it stands"


def gate_words(result: GateResult) -> str:
    """What a gate answered, in words."""
    match result:
        case GatePassed():
            counted = f", {result.totals.passed} passed" if result.totals else ""
            return f"green after {result.seconds:.1f} s{counted}"
        case GateRed():
            failing = f": {', '.join(result.failing[:3])}" if result.failing else ""
            more = f" and {len(result.failing) - 3} more" if len(result.failing) > 3 else ""
            return f"red after {result.seconds:.1f} s{failing}{more}"
        case GateUnjudged():
            return f"not judged: {result.reason}"
        case GateSkipped():
            return "no tests, as you said"
