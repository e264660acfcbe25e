"""`maestro lock`: run a command while a named resource is ours (I-7)."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.resources.locks.base import LockStatus, Resource, Scope, Who, held_by, status_object
from maestro.resources.locks.caller import Caller, attempt_folder, find_caller

if TYPE_CHECKING:
    from pathlib import Path

    from maestro.resources.locks.command import Ended
    from maestro.resources.locks.queue import Held
    from maestro.resources.locks.testresults import TestResults

TESTS = "tests"
_MOST_SECONDS = 1e9
"""Some 30 years; what is more, or no number, is a slip."""


class _Seconds(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if seconds != seconds:  # which is within every range
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("name")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--scope",
    type=click.Choice([one.value for one in Scope]),
    help="Among whom: one run, the repository, or the machine (default: as configured, else repo).",
)
@click.option(
    "--limit",
    type=_Seconds(0, _MOST_SECONDS, min_open=True),
    metavar="SECONDS",
    help="Stop CMD after so long (default: as configured, else 900).",
)
@click.option(
    "--wait",
    type=_Seconds(0, _MOST_SECONDS),
    metavar="SECONDS",
    help="Wait no longer than so long (default: for ever).",
)
@click.option("--status", "is_status", is_flag=True, help="Say who holds it and who waits; run nothing.")
@output_options
@click.pass_obj
def command(
    app: App,
    name: str,
    cmd: tuple[str, ...],
    scope: str | None,
    limit: float | None,
    wait: float | None,
    is_status: bool,
) -> int:
    """Run CMD while the resource NAME is ours: maestro lock tests -- pytest -q

    Who comes first is served first. CMD ends with whoever holds the lock, its whole family too, before the next one
    goes on. The exit code is that of CMD; 124 where the wait or the limit ran out.
    """
    if is_status and cmd:
        raise click.UsageError("--status runs nothing: give it or a command")
    if not is_status and not cmd:
        raise click.UsageError(f"give a command: maestro lock {name} -- pytest")
    caller = _caller(app)
    resource = _resource(app, caller, name)
    if scope is not None:
        resource = resource._replace(scope=Scope(scope))
    if limit is not None:
        resource = resource._replace(limit_seconds=limit)
    from maestro.resources.locks.place import folder_of

    folder = folder_of(resource.scope, caller.repository, caller.run, app.environ)
    if is_status:
        return _show(app, folder, resource)
    return _run(app, folder, resource, caller, cmd, wait)


def _caller(app: App) -> Caller:
    app.check_directory()
    caller = find_caller(app.directory, app.environ, is_given=app.directory_given)
    if caller.repository is None:  # git may know better, by GIT_DIR
        return replace(caller, repository=app.repository_if_any())
    return caller


def _resource(app: App, caller: Caller, name: str) -> Resource:
    """As configured. The checks of the settings cost more time than all the rest, so they are left out where nobody
    has configured a resource."""
    if not _is_configured(app, caller):
        return Resource(name)
    with suppress(ValueError, TypeError, KeyError, AttributeError):  # what is wrong with it, the checks say
        told = json.loads(app.environ["MAESTRO_RESOURCES"])
        return _plain_resource(name, told.get(name))
    from maestro.wiring.locks import resource_named

    return resource_named(app.load(repository=caller.repository).settings, name)


def _plain_resource(name: str, told: Any) -> Resource:
    """From the variable that a run gives to its agents, whose values have been checked."""
    if told is None:
        return Resource(name)
    if isinstance(told, int) and not isinstance(told, bool) and told > 0:
        return Resource(name, told)
    slots, limit = int(told["slots"]), float(told["limit"])
    if slots < 1 or not 0 < limit <= _MOST_SECONDS:
        raise ValueError("no values of a run: the checks will say what is wrong")
    return Resource(name, slots, Scope(told["scope"]), limit)


def _is_configured(app: App, caller: Caller) -> bool:
    if app.environ.get("MAESTRO_RESOURCES") or app.config_file is not None:
        return True
    if caller.repository is None:
        return False
    for file in (".flow/maestro/config.toml", "pyproject.toml"):
        with suppress(OSError):
            if b"resources" in (caller.repository / file).read_bytes():
                return True
    return False


def _show(app: App, folder: Path, resource: Resource) -> int:
    from maestro.resources.locks.status import status

    found = status(folder, resource)
    if app.output.as_json:
        app.output.json(status_object(found))
    else:
        app.output.text(*_lines(found))
    return 0


def _lines(found: LockStatus) -> list[str]:
    slots = "1 slot" if found.capacity == 1 else f"{found.capacity} slots"
    if not found.holders:
        lines = [f"{found.name} is free ({slots})."]
    else:
        lines = [f"{found.name} ({slots}) is held by {held_by(found)}."]
    if found.queue:
        waiting = ", ".join(str(one.pid) for one in found.queue)
        lines.append(f"{len(found.queue)} waiting, in this order: {waiting}.")
    return lines


def _run(app: App, folder: Path, resource: Resource, caller: Caller, cmd: tuple[str, ...], wait: float | None) -> int:
    _fill_standard_streams()
    # before it waits: whoever has the lock must not spend its time with imports
    from maestro.resources.locks.command import run_under
    from maestro.resources.locks.waiting import wait_for_lock

    def say(found: LockStatus) -> None:
        ahead = len(found.queue) - 1
        before = f", {ahead} before you" if ahead > 0 else ""
        app.output.note(f"Waiting for {resource.name}: held by {held_by(found) or 'nobody any more'}{before}.")

    held = wait_for_lock(
        folder,
        resource,
        Who(task=caller.task, run=caller.run, what=cmd[0]),
        environ=app.environ,
        wait_seconds=wait,
        on_queued=say,
    )
    attempt = attempt_folder(caller, app.environ) if resource.name == TESTS else None
    results = _results(app, attempt, cmd, held) if attempt is not None else None
    ended = run_under(held, cmd, {**app.environ, **(results.variables(app.environ) if results else {})})
    if results is not None:
        with suppress(OSError):  # what the tests said stays in the XML
            results.close(ended.code, ended.seconds)
    return _tell(app, ended, resource)


def _fill_standard_streams() -> None:
    """Where one is closed, its number would be given to a ticket, and CMD would meet that in its place. What fills it
    is closed for CMD, as it was."""
    while (fd := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
        pass
    os.close(fd)


def _results(app: App, attempt: Path, cmd: tuple[str, ...], held: Held) -> TestResults | None:
    from maestro.resources.locks.testresults import TestResults

    try:
        return TestResults(attempt, cmd, held.waited_seconds)
    except OSError as error:
        app.output.warn(f"The results of these tests are not kept: {attempt}: {(error.strerror or '').lower()}.")
        return None


def _tell(app: App, ended: Ended, resource: Resource) -> int:
    if ended.why:
        app.output.complain(ended.why, "give a command that can be executed: maestro lock NAME -- CMD")
    elif ended.is_over_limit:
        app.output.complain(
            f"the command was stopped: it held {resource.name} for more than {resource.limit_seconds:g} s",
            "give it more time with --limit SECONDS, or less to do",
        )
    return ended.code
