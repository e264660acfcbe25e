"""`maestro workspace env`: the ports and names of a task's own services, and its `.env.task` (I-3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import BadInput, StateError


@click.command()
@click.argument("task")
@click.option("--write", is_flag=True, help="Write it to .zenflow/tasks/TASK/.env.task in the repository.")
@click.option("--force", is_flag=True, help="With --write: also over a file that says something else.")
@output_options
@click.pass_obj
def command(app: App, task: str, write: bool, force: bool) -> None:
    """Show the ports and names of a task's own services, or write its .env.task.

    They follow from the task's id; a port that the file of another task has is left to it. Inside of an attempt, that
    attempt's own are shown: those that its run has leased.
    """
    from maestro.planning.env_files import place_of, text_of, variables_of
    from maestro.planning.ports import services_of

    if force and not write:
        raise BadInput("--force goes with --write", hint="add --write")
    top = app.repository() if write else app.repository_if_any()
    services = services_of(app.load(repository=top).settings.ports)
    variables = _leased(app.environ, task, services) or variables_of(task, services, _others(top, task))
    path = top / place_of(task) if top else None
    text = text_of(variables)
    written = _write(path, text, force=force) if write and path else False
    if app.output.as_json:
        said = {"task": task, "path": str(path) if path else None, "written": written, "variables": variables}
        app.output.raw((json.dumps(said, indent=2) + "\n").encode())  # as they are: no secret of anybody's is in them
    elif write:
        app.output.text(f"{path}: {'written' if written else 'is there already'}")
    else:
        app.output.raw(text.encode())


def _leased(environ: Mapping[str, str], task: str, services: Mapping[str, int]) -> dict[str, str] | None:
    """What the run gave this attempt, where the task is that of the caller."""
    from maestro.planning.ports import ports_of
    from maestro.planning.task_environment import task_environment

    names = task_environment(task, ports_of(services, 0))
    if "MAESTRO_ATTEMPT" not in environ or environ.get("MAESTRO_TASK_ID") != task or not environ.keys() >= names.keys():
        return None
    return {name: environ[name] for name in names}


def _others(top: Path | None, task: str) -> list[dict[str, str]]:
    """The files that the repository has for other tasks."""
    from maestro.planning.env_files import FILE, FOLDER, TEMPLATE, parse, place_of

    if top is None:
        return []
    own = {top / place_of(task), top / FOLDER / TEMPLATE / FILE}
    found = (path for path in (top / FOLDER).glob(f"*/{FILE}") if path not in own and path.is_file())  # no pipe
    return [parse(_read(path) or "") for path in found]


def _write(path: Path, text: str, *, force: bool) -> bool:
    """Whether anything had to be written."""
    from maestro.store.atomic import write_atomically

    if path.is_symlink() or path.is_fifo():
        raise BadInput(f"{path} is there and is no file", hint="remove it: it may lead out of the repository")
    there = _read(path)
    if there == text:
        return False
    if there is not None and not force:
        raise BadInput(f"{path} is there and says something else", hint="--force writes over it")
    write_atomically(path, text.encode(), 0o644)
    return True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
