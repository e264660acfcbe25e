"""An offer: one attempt that waits for a subagent of the user's own session to do it (C-3, delegate mode)."""

# no `from __future__ import annotations`: see maestro.model.record

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from maestro.model.record import Record

DELEGATE = "delegate"
"""Name of the agent whose attempts are offered to a session instead of started."""

TASK_MARK = "maestro-task: "
"""The first line of an offer's prompt begins so: by it a subagent's transcript tells which attempt it works on."""


class Offer(Record):
    """All that a session needs to launch a subagent, and maestro to take its report."""

    run_id: str
    task: str
    name: str  # the task's safe name
    attempt: int  # 1, 2 …
    attempt_id: str
    title: str
    subagent_type: str  # chosen among those that exist
    wanted_subagent: str | None  # what the task asks for
    why: str  # how it was chosen, a clause for people
    description: str  # a few words, for the tool that launches subagents
    prompt: str
    workspace: Path  # the repository in which the subagent works
    report_file: Path
    doorbell: Path
    offered_at: datetime

    @property
    def key(self) -> str:
        """Names the offer within its run."""
        return offer_key(self.name, self.attempt)


class MarkedTask(NamedTuple):
    """What the first line of a prompt says."""

    run_id: str
    task: str
    attempt: int


def offer_key(name: str, attempt: int) -> str:
    """`name` is the task's safe name."""
    return f"{name}.{attempt}"


def task_line(run_id: str, task: str, attempt: int) -> str:
    """The first line of an offer's prompt; blanks of the id are kept, line breaks are not."""
    return f"{TASK_MARK}{run_id} {' '.join(task.splitlines())} {attempt}"


def read_task_line(text: str) -> MarkedTask | None:
    """The run, task and attempt that the first marked line of a text names; None where there is none."""
    for line in text.splitlines():
        if not line.startswith(TASK_MARK):
            continue
        run_id, _, rest = line.removeprefix(TASK_MARK).partition(" ")
        task, _, attempt = rest.rpartition(" ")
        if run_id and task and attempt.isdecimal():
            return MarkedTask(run_id, task, int(attempt))
    return None
