"""The tools of the server: what a client reads of them before it calls one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from maestro.mcp.inputs import (
    Input,
    LockInput,
    NoteInput,
    PlanInput,
    ReportInput,
    RunInput,
    StatusInput,
    WaitInput,
    read_input,
    schema_of,
)
from maestro.mcp.place import Answer, Place


@dataclass(frozen=True)
class Tool:
    """One tool, as it is listed and called."""

    name: str
    description: str
    takes: type[Input]
    changes: bool = True  # whether anything is different afterwards

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        return schema_of(self.takes)

    async def call(self, place: Place, arguments: Mapping[str, Any]) -> Answer:
        """Carry it out; BadInput where the arguments cannot be used. What is not async is done in a thread."""
        given = read_input(self.takes, arguments)
        act = await anyio.to_thread.run_sync(_act, self.name)
        answer: Answer
        if inspect.iscoroutinefunction(act):
            answer = await act(place, given)
        else:
            answer = await anyio.to_thread.run_sync(act, place, given)
        return answer


def _act(name: str) -> Any:
    from maestro.mcp.acts import ACTS  # a quarter of a second, which a client that lists the tools need not wait

    return ACTS[name]


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "plan",
            "Show which tasks of the backlog would run when, and at the same time as what. Changes nothing. An entry "
            "in `problems` makes the plan impossible, and `run` refuses it.",
            PlanInput,
            changes=False,
        ),
        Tool(
            "run",
            "Start a run of the backlog: an agent in a workspace of its own for each task, finished work checked and "
            "landed on an integration branch. Returns as soon as it is under way, with its run_id; it goes on in the "
            "background, also when this server ends. Call `plan` before, and `wait` after it.",
            RunInput,
        ),
        Tool(
            "status",
            "How one run, one group or the newest runs stand: each task with status, attempts, commit and reason.",
            StatusInput,
            changes=False,
        ),
        Tool(
            "wait",
            "Wait until a run or a group has ended, for at most 50 seconds. `timed_out` true: it goes on, call again. "
            "Then call `status` for what became of each task.",
            WaitInput,
            changes=False,
        ),
        Tool(
            "note",
            "Leave a note for a task of a run under way, or for all of its tasks: prompts made from now on show it.",
            NoteInput,
        ),
        Tool(
            "lock",
            "Run a command while a named resource is ours, such as the tests: others here use it too, one after the "
            "other, first come first served. Without a command: who holds it and who waits. `timed_out` true: it "
            "waits or runs still, call again with `call`. `exit_code` is the command's own, 124 where its time ran "
            "out. A call that is cancelled ends its command.",
            LockInput,
        ),
        Tool(
            "report",
            "Say how a task went that was given to you; your last act on it. The first report of an attempt counts, "
            "and what it claims is checked by what is committed.",
            ReportInput,
        ),
    )
}
"""Name → tool, in the order they are listed."""
