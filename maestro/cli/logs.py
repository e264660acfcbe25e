"""`maestro logs`: what the agent of a task printed, or was told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import click

from maestro.cli.app import App
from maestro.cli.options import output_options
from maestro.errors import BadInput, StateError
from maestro.model.ids import hashed_name, safe_name
from maestro.store.layout import Layout
from maestro.store.standing import is_alive, known_run, newest_runs

FOLLOW_SECONDS = 0.1
BLOCK = 1 << 16


@click.command()
@click.argument("task")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Which attempt (default: the last one).")
@click.option("--stderr", "name", flag_value="stderr", help="What it printed on standard error.")
@click.option("--prompt", "name", flag_value="prompt.md", help="What it was told.")
@click.option("--follow", "-f", is_flag=True, help="Go on as it prints more, until the attempt ends.")
@click.option("--run-id", metavar="ID", help="Which run (default: the newest that tried the task).")
@output_options
@click.pass_obj
def command(app: App, task: str, attempt: int | None, name: str | None, follow: bool, run_id: str | None) -> None:
    """Show what the agent of TASK printed."""
    layout = app.layout()
    run, folder = find_attempts(layout, task, run_id)
    number = attempt or max(_numbers(folder))
    if number not in _numbers(folder):
        raise BadInput(f"task {task} has no attempt {number} in run {run}", hint=f"it has {max(_numbers(folder))}")
    file = folder / str(number) / (name or "stdout")
    app.hide_what_is_secret_in(layout, run)
    if app.output.as_json:
        text = app.output.redactor.mask_bytes(_read(file)).decode("utf-8", "replace")
        app.output.json(
            {"run_id": run, "task": task, "attempt": number, "stream": file.name, "file": str(file), "text": text}
        )
        return
    _copy(app, file, follow, lambda: (file.parent / "exit").exists() or not is_alive(layout, run))


def find_attempts(layout: Layout, task: str, run_id: str | None) -> tuple[str, Path]:
    """The run and the folder that holds the task's attempts; BadInput where it was never tried."""
    runs = newest_runs(layout) if run_id is None else [known_run(layout, run_id)]
    for run in runs:
        for name in (safe_name(task), hashed_name(task)):  # the second where ids differ only in case
            folder = layout.run(run) / "attempts" / name
            if folder.is_dir() and _numbers(folder):
                return run, folder
    where = f"run {run_id}" if run_id else "any run here"
    raise BadInput(
        f"task {task} was not tried in {where}", hint="`maestro status --run-id ID` lists the tasks of a run"
    )


def _numbers(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""  # the attempt never came as far as printing
    except OSError as error:
        raise StateError(f"{file} cannot be read: {error.strerror}") from error


def _copy(app: App, file: Path, follow: bool, is_over: Callable[[], bool]) -> None:
    from maestro.model.masked_stream import MaskedStream

    masked = MaskedStream(app.output.redactor)
    stream: BinaryIO | None = None
    with contextlib.ExitStack() as stack:
        while True:
            over = not follow or is_over()  # asked before reading, so that the last words are not missed
            if stream is None and file.exists():
                stream = stack.enter_context(file.open("rb"))  # once: the masked one that takes its place is shorter
            while stream is not None and (block := stream.read(BLOCK)):
                _show(app, masked.feed(block))
            _show(app, masked.end() if over else masked.lines())
            if over:
                return
            time.sleep(FOLLOW_SECONDS)


def _show(app: App, data: bytes) -> None:
    if data:
        app.output.raw(data)
