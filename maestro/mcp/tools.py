"""The tools of the server: each a command of the command line, and each gives what that gives with `--json`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from maestro.background import arguments_of, start_run
from maestro.clock import SystemClock
from maestro.config.load import Loaded, load_settings
from maestro.coordinator import ParallelCoordinator
from maestro.errors import BadInput
from maestro.mcp.inputs import (
    Input,
    NoteInput,
    PlanInput,
    ReportInput,
    RunInput,
    StatusInput,
    WaitInput,
    one_of,
    read_input,
    schema_of,
)
from maestro.planning.render_json import plan_object
from maestro.store.board import note_object, post_as
from maestro.store.endings import LOOK_SECONDS, Looks
from maestro.store.layout import Layout
from maestro.store.standing import group_metadata, known_run, newest_object, result_of_run
from maestro.vcs.git import Git, open_repository
from maestro.wiring.backlog import plan_backlog
from maestro.wiring.build import new_run_id
from maestro.wiring.reporting import take_report

BEGIN_SECONDS = 45.0
"""A run must have begun, or been refused, within the time that clients wait for an answer."""


@dataclass(frozen=True)
class Place:
    """Where the server works, and with which variables."""

    directory: Path
    environ: Mapping[str, str]
    config_file: Path | None = None

    def of(self, given: Input) -> Path:
        """The directory a call is about; BadInput where there is none."""
        directory = self.directory / Path(given.repository or ".").expanduser()
        if not directory.is_dir():
            raise BadInput(f"{directory} is not a directory", hint="give a repository that exists")
        return Path(os.path.normpath(directory))

    def repository(self, given: Input) -> Git:
        """The repository a call is about; BadInput outside of one."""
        return open_repository(self.of(given), dict(self.environ))

    def layout(self, given: Input) -> Layout:
        """Its paths."""
        return Layout(self.repository(given).directory)

    def layout_of_caller(self, given: Input) -> Layout:
        """The same for an agent whose server stands in its workspace: of the repository that its run belongs to."""
        home = self.environ.get("MAESTRO_REPOSITORY")
        return self.layout(given) if given.repository or not home else Layout(Path(home))

    def settings(self, given: PlanInput, git: Git) -> Loaded:
        """The settings of a call: what it gives, on top of the repository's configuration."""
        return load_settings(git.directory, self.config_file, self.environ, given.flags(), self.of(given))


@dataclass(frozen=True)
class Answer:
    """The object of a tool's result, and what a person should be told beside it."""

    value: dict[str, Any]
    warnings: tuple[str, ...] = ()


def plan(place: Place, given: PlanInput) -> Answer:
    """As `maestro plan --json`."""
    git = ParallelCoordinator(place.of(given), environ=place.environ).open()
    loaded = place.settings(given, git)
    backlog = plan_backlog(git, loaded.settings, standard_input=_todos(given), environ=place.environ)
    return Answer(plan_object(backlog.plan), tuple(map(str, loaded.warnings)))


def run(place: Place, given: RunInput) -> Answer:
    """Start what `maestro run` runs; as `maestro status --run-id ID --json` once it is under way."""
    git = ParallelCoordinator(place.of(given), environ=place.environ).open()
    loaded = place.settings(given, git)  # refused here rather than in a child
    stands = start_run(
        Layout(git.directory),
        place.of(given),
        arguments_of(given.flags()),
        run_id=given.run_id or new_run_id(SystemClock()),
        environ=place.environ,
        config_file=place.config_file,
        standard_input=_todos(given),
        limit_seconds=BEGIN_SECONDS,
    )
    return Answer(stands, tuple(map(str, loaded.warnings)))


def status(place: Place, given: StatusInput) -> Answer:
    """As `maestro status --json`."""
    one_of(given.run_id, given.group_id, needed=False)
    layout = place.layout(given)
    if given.group_id is not None:
        return Answer(group_metadata(layout, given.group_id))
    if given.run_id is not None:
        return Answer(result_of_run(layout, known_run(layout, given.run_id)))
    return Answer(newest_object(layout))


async def wait(place: Place, given: WaitInput) -> Answer:
    """As `maestro wait --json`; a client that cancels the call, or goes away, ends it at once."""
    one_of(given.run_id, given.group_id, needed=True)
    layout = await anyio.to_thread.run_sync(place.layout, given)
    looks = Looks(layout, run_id=given.run_id, group_id=given.group_id)
    deadline = time.monotonic() + given.timeout
    while (stands := looks.look())["timed_out"] and (left := deadline - time.monotonic()) > 0:  # noqa: ASYNC110 - of another process
        await anyio.sleep(min(LOOK_SECONDS, left))
    return Answer(stands)


def note(place: Place, given: NoteInput) -> Answer:
    """As `maestro note --json`."""
    layout = place.layout_of_caller(given)
    run_id, left = post_as(
        place.environ,
        layout,
        given.text,
        clock=SystemClock(),
        run_id=given.run_id,
        from_task=given.from_task,
        to_task=given.to_task,
    )
    return Answer({"run_id": run_id, **note_object(left)})


def report(place: Place, given: ReportInput) -> Answer:
    """As `maestro report --json`."""
    said = given.model_dump(include={"status", "summary", "confidence", "notes", "discovered"})
    taken = take_report(
        said,
        environ=place.environ,
        layout=lambda: place.layout_of_caller(given),
        task=given.task,
        run_id=given.run_id,
        attempt=given.attempt,
    )
    return Answer(taken)


def _todos(given: PlanInput) -> str | None:
    return None if given.todos is None else json.dumps(given.todos)


@dataclass(frozen=True)
class Tool:
    """One tool, as it is listed and called."""

    name: str
    description: str
    takes: type[Input]
    act: Callable[..., Answer] | None = None
    act_async: Callable[..., Awaitable[Answer]] | None = None
    changes: bool = True  # whether anything is different afterwards

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments."""
        return schema_of(self.takes)

    def checked(self, arguments: Mapping[str, Any]) -> Input:
        """The arguments of a call; BadInput where they cannot be used."""
        return read_input(self.takes, arguments)

    async def call(self, place: Place, given: Input) -> Answer:
        """Carry it out; what waits for files and children does so in a thread."""
        if self.act_async is not None:
            return await self.act_async(place, given)
        assert self.act is not None
        return await anyio.to_thread.run_sync(self.act, place, given)


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "plan",
            "Show which tasks of the backlog would run when, and at the same time as what. Changes nothing. An entry "
            "in `problems` makes the plan impossible, and `run` refuses it.",
            PlanInput,
            plan,
            changes=False,
        ),
        Tool(
            "run",
            "Start a run of the backlog: an agent in a workspace of its own for each task, finished work checked and "
            "landed on an integration branch. Returns as soon as it is under way, with its run_id; it goes on in the "
            "background, also when this server ends. Call `plan` before, and `wait` after it.",
            RunInput,
            run,
        ),
        Tool(
            "status",
            "How one run, one group or the newest runs stand: each task with status, attempts, commit and reason.",
            StatusInput,
            status,
            changes=False,
        ),
        Tool(
            "wait",
            "Wait until a run or a group has ended, for at most 50 seconds. `timed_out` true: it goes on, call again. "
            "Then call `status` for what became of each task.",
            WaitInput,
            act_async=wait,
            changes=False,
        ),
        Tool(
            "note",
            "Leave a note for a task of a run under way, or for all of its tasks: prompts made from now on show it.",
            NoteInput,
            note,
        ),
        Tool(
            "report",
            "Say how a task went that was given to you; your last act on it. The first report of an attempt counts, "
            "and what it claims is checked by what is committed.",
            ReportInput,
            report,
        ),
    )
}
"""Name → tool, in the order they are listed."""
