"""What the tools do: each is a command of the command line, and gives what that gives with `--json`.

Imported at the first call: a client that has just started the server waits for the list of tools, not for this.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from maestro.background import arguments_of, start_run
from maestro.clock import SystemClock
from maestro.config.load import Loaded, load_settings
from maestro.coordinator import ParallelCoordinator
from maestro.errors import BadInput, MaestroError
from maestro.mcp.inputs import (
    Input,
    LockInput,
    NoteInput,
    PlanInput,
    ReportInput,
    RunInput,
    StatusInput,
    WaitInput,
    one_of,
)
from maestro.mcp.place import Answer, Place
from maestro.planning.render_json import plan_object
from maestro.proc.ourselves import own_argv
from maestro.resources.locks.base import Scope, status_object
from maestro.resources.locks.caller import find_caller
from maestro.resources.locks.place import folder_of
from maestro.resources.locks.status import status as lock_status
from maestro.store.board import note_object, post_as
from maestro.store.endings import LOOK_SECONDS, Looks
from maestro.store.layout import Layout
from maestro.store.standing import group_metadata, known_run, newest_object, result_of_run
from maestro.vcs.git import Git, open_repository
from maestro.wiring.backlog import plan_backlog
from maestro.wiring.locks import resource_named
from maestro.wiring.preparing import new_run_id
from maestro.wiring.redaction import secrets_in_settings
from maestro.wiring.reporting import take_report
from maestro.workspaces.marker import layout_of_workspace, variables_of_workspace

BEGIN_SECONDS = 45.0
"""A run must have begun, or been refused, within the time that clients wait for an answer."""


def plan(place: Place, given: PlanInput) -> Answer:
    """As `maestro plan --json`."""
    git = ParallelCoordinator(_directory(place, given), environ=place.environ).open()
    loaded = _settings(place, given, git)
    backlog = plan_backlog(git, loaded.settings, standard_input=_todos(given), environ=place.environ)
    return Answer(plan_object(backlog.plan), tuple(map(str, loaded.warnings)))


def run(place: Place, given: RunInput) -> Answer:
    """Start what `maestro run` runs; as `maestro status --run-id ID --json` once it is under way."""
    directory = _directory(place, given)
    git = ParallelCoordinator(directory, environ=place.environ).open()
    loaded = _settings(place, given, git)  # refused here rather than in a child
    flags = given.flags()
    refused = {f"MAESTRO_{key.upper()}": "false" for key, value in flags.items() if value is False}  # no flag says so
    stands = start_run(
        Layout(git.directory),
        directory,
        arguments_of(flags),
        run_id=given.run_id or new_run_id(SystemClock()),
        environ={**place.environ, **refused},
        config_file=place.config_file,
        standard_input=_todos(given),
        limit_seconds=BEGIN_SECONDS,
    )
    return Answer(stands, tuple(map(str, loaded.warnings)))


def status(place: Place, given: StatusInput) -> Answer:
    """As `maestro status --json`."""
    one_of(given.run_id, given.group_id, needed=False)
    layout = _layout(place, given)
    if given.group_id is not None:
        return Answer(group_metadata(layout, given.group_id))
    if given.run_id is not None:
        return Answer(result_of_run(layout, known_run(layout, given.run_id)))
    return Answer(newest_object(layout))


async def wait(place: Place, given: WaitInput) -> Answer:
    """As `maestro wait --json`; a client that cancels the call, or goes away, ends it at once."""
    one_of(given.run_id, given.group_id, needed=True)
    layout = await anyio.to_thread.run_sync(_layout, place, given)
    looks = Looks(layout, run_id=given.run_id, group_id=given.group_id)
    deadline = time.monotonic() + given.timeout
    while (stands := looks.look())["timed_out"] and (left := deadline - time.monotonic()) > 0:  # noqa: ASYNC110
        await anyio.sleep(min(LOOK_SECONDS, left))  # at a file of another process, which rings no bell
    return Answer(stands)


def note(place: Place, given: NoteInput) -> Answer:
    """As `maestro note --json`."""
    layout = _layout_of_caller(place, given)
    with contextlib.suppress(MaestroError):  # a configuration in no good state is no reason to say nothing
        _hide(place, load_settings(layout.repository, place.config_file, place.environ, {}, layout.repository))
    run_id, left = post_as(
        {**variables_of_workspace(_directory(place, given)), **place.environ},
        layout,
        given.text,
        clock=SystemClock(),
        run_id=given.run_id,
        from_task=given.from_task,
        to_task=given.to_task,
        redactor=place.redactor,
    )
    return Answer({"run_id": run_id, **note_object(left)})


async def lock(place: Place, given: LockInput) -> Answer:
    """As `maestro lock NAME --status --json`; with a command, its exit code and the end of its output."""
    if given.call is None and given.command is None:
        return await anyio.to_thread.run_sync(_lock_status, place, given)
    call, commands = given.call, place.commands
    if call is None:
        directory = await anyio.to_thread.run_sync(_directory, place, given)
        argv = _lock_argv(place, given)
        call = await commands.start(argv, name=given.name, cwd=directory, environ=place.environ)
    command = commands.named(call)
    try:
        await command.wait(given.timeout)
    except anyio.get_cancelled_exc_class():
        await command.stop()
        raise
    return Answer(commands.told(call))


def _lock_argv(place: Place, given: LockInput) -> list[str]:
    config = ["--config", str(place.config_file)] if place.config_file is not None else []
    where = ["-C", "."] if given.repository is not None else []  # stronger than what an agent's variables say
    flags = {"--scope": given.scope, "--limit": given.limit, "--wait": given.wait}
    told = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    return [*own_argv(), *where, *config, "lock", *told, "--", given.name, "sh", "-c", given.command or ""]


def _lock_status(place: Place, given: LockInput) -> Answer:
    caller = find_caller(_directory(place, given), place.environ, is_given=given.repository is not None)
    loaded = load_settings(caller.repository, place.config_file, place.environ, {}, caller.repository)
    _hide(place, loaded)
    resource = resource_named(loaded.settings, given.name)
    if given.scope is not None:
        resource = resource._replace(scope=Scope(given.scope))
    folder = folder_of(resource.scope, caller.repository, caller.run, place.environ)
    return Answer(status_object(lock_status(folder, resource)), tuple(map(str, loaded.warnings)))


def report(place: Place, given: ReportInput) -> Answer:
    """As `maestro report --json`."""
    said = given.model_dump(include={"status", "summary", "confidence", "notes", "discovered"})
    taken = take_report(
        said,
        environ=place.environ,
        layout=lambda: _layout_of_caller(place, given),
        task=given.task,
        run_id=given.run_id,
        attempt=given.attempt,
    )
    return Answer(taken)


def _directory(place: Place, given: Input) -> Path:
    """The directory a call is about; BadInput where there is none."""
    directory = place.directory / Path(given.repository or ".").expanduser()
    if not directory.is_dir():
        raise BadInput(f"{directory} is not a directory", hint="give a repository that exists")
    return Path(os.path.normpath(directory))


def _layout(place: Place, given: Input) -> Layout:
    """The paths of its repository; BadInput outside of one."""
    return Layout(open_repository(_directory(place, given), dict(place.environ)).directory)


def _layout_of_caller(place: Place, given: Input) -> Layout:
    """The same for an agent whose server stands in its workspace: of the repository that its run belongs to."""
    home = place.environ.get("MAESTRO_REPOSITORY")
    if home and not given.repository:
        return Layout(Path(home))
    return layout_of_workspace(_directory(place, given)) or _layout(place, given)


def _settings(place: Place, given: PlanInput, git: Git) -> Loaded:
    """What the call gives, on top of the repository's configuration."""
    directory = _directory(place, given)
    loaded = load_settings(git.directory, place.config_file, place.environ, given.flags(), directory)
    _hide(place, loaded)
    return loaded


def _hide(place: Place, loaded: Loaded) -> None:
    """From now on no answer holds a secret of these settings."""
    place.redactor.add(secrets_in_settings(loaded.settings))


def _todos(given: PlanInput) -> str | None:
    return None if given.todos is None else json.dumps(given.todos)


ACTS: dict[str, Any] = {
    "plan": plan, "run": run, "status": status, "wait": wait, "note": note, "lock": lock,
    "report": report,
}  # fmt: skip
"""Tool → what it does with a place and its checked arguments."""
