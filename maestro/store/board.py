"""The board of a run: notes that tasks and people leave for later prompts (E-10), one JSON line each.

It is talk about a run and no part of its truth: the journal does not know it, nothing is folded from it, and a
run whose board is lost goes on as it was. Lines are appended under a lock, whole or not at all, by whoever has
something to say; the coordinator only reads.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maestro.clock import Clock, as_z
from maestro.errors import BadInput, Busy, StateError
from maestro.model.events import RunStarted
from maestro.model.note import NOTE_LENGTH, Note
from maestro.model.redaction import Redactor
from maestro.model.secret_names import secrets_in_environment
from maestro.store.claims import coordinator_environment
from maestro.store.filelocks import locked
from maestro.store.journal import read_first
from maestro.store.layout import Layout
from maestro.store.masking import mask_file
from maestro.store.standing import DIED, finished, is_alive, known_run, run_meant

BOARD_LENGTH = 1 << 21
"""Bytes of one board: an agent that talks without end must not fill the disk."""

LOCK_SECONDS = 10.0


def post(
    layout: Layout,
    run_id: str,
    text: str,
    *,
    clock: Clock,
    from_task: str | None = None,
    to_task: str | None = None,
    redactor: Redactor | None = None,
) -> Note:
    """Leave a note for a task of a run that is under way, or for all of them; BadInput where nobody would read it.

    What the redactor or the coordinator of the run knows to be secret is masked: notes go into the prompts of others.
    """
    _check_listening(layout, known_run(layout, run_id))
    known = _tasks(layout, run_id)
    for task in (from_task, to_task):
        if task is not None and task not in known:
            raise BadInput(
                f"run {run_id} has no task {task}", hint=f"`maestro status --run-id {run_id}` lists its tasks"
            )
    redactor = redactor or Redactor()
    redactor.add(secrets_in_environment(coordinator_environment(layout.locks, run_id)))
    said = redactor.mask(_checked(text))
    note = Note(at=clock.now(), from_task=from_task, to_task=to_task, text=said)
    _append(layout.board(run_id), note.model_dump_json().encode() + b"\n")
    return note


def post_as(
    environ: Mapping[str, str],
    layout: Layout,
    text: str,
    *,
    clock: Clock,
    run_id: str | None = None,
    from_task: str | None = None,
    to_task: str | None = None,
    redactor: Redactor | None = None,
) -> tuple[str, Note]:
    """The same for a caller that need not name itself: by the variables of an agent, its own run and task; else the
    only run under way, and nobody. The run, and the note."""
    own = environ.get("MAESTRO_RUN_ID") or None
    run = run_meant(layout, run_id if run_id is not None else own)
    if from_task is None and run == own:
        from_task = environ.get("MAESTRO_TASK_ID") or None
    return run, post(layout, run, text, clock=clock, from_task=from_task, to_task=to_task, redactor=redactor)


def mask_board(path: Path, redactor: Redactor) -> None:
    """Mask what those who wrote did not know to be secret. StateError where that cannot be done."""
    if path.exists():
        with locked(path.with_suffix(".lock"), LOCK_SECONDS):
            mask_file(path, redactor)


def read_board(path: Path) -> tuple[Note, ...]:
    """All notes, the oldest first; lines that are torn or not ours are passed over. StateError names the path."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise StateError(f"the board {path} cannot be read: {error.strerror}") from error
    notes = []
    for line in filter(None, lines):
        with contextlib.suppress(ValueError):
            notes.append(Note.model_validate_json(line))
    return tuple(notes)


def note_object(note: Note) -> dict[str, Any]:
    """A note as `--json` shows it."""
    return {**note.model_dump(), "at": as_z(note.at)}


def _check_listening(layout: Layout, run_id: str) -> None:
    alive = is_alive(layout, run_id)  # first: a run that ends between the two looks has ended, not died
    if finished(layout, run_id) is not None:
        raise BadInput(f"run {run_id} has ended: nobody would read the note")
    if not alive:
        raise BadInput(f"nobody would read a note to run {run_id}: {DIED}")


def _tasks(layout: Layout, run_id: str) -> tuple[str, ...]:
    """The tasks of a run that is under way; Busy in the moment before it has written them down."""
    first = read_first(layout.journal(run_id))
    if not isinstance(first, RunStarted):
        raise Busy(f"run {run_id} has only just begun", hint="try again in a second")
    return first.tasks


def _checked(text: str) -> str:
    """The text without outer blanks, fit for UTF-8; BadInput where it is empty or too long."""
    text = text.encode("utf-8", "backslashreplace").decode().strip()
    if not text:
        raise BadInput("the note is empty", hint="say in a sentence or two what others should know")
    if len(text) > NOTE_LENGTH:
        raise BadInput(
            f"the note has {len(text):,} characters, of at most {NOTE_LENGTH:,}",
            hint="put long texts into a file of the repository, and name it in the note",
        )
    return text


def _append(path: Path, line: bytes) -> None:
    try:
        with locked(path.with_suffix(".lock"), LOCK_SECONDS), path.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end + len(line) > BOARD_LENGTH:
                raise BadInput("the board of the run is full", hint="say it in the task's report instead")
            file.seek(max(end - 1, 0))
            torn = end > 0 and file.read(1) != b"\n"  # by a writer that was killed, or a full disk
            payload = b"\n" + line if torn else line
            if file.write(payload) != len(payload):
                file.truncate(end)
                raise StateError(f"{path} cannot be written: the disk is full")
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error
