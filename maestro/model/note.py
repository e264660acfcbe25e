"""A note on the board of a run (E-10), and which of them a task gets to read."""

# no `from __future__ import annotations`: see maestro.model.record

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from maestro.model.record import Record

NOTE_LENGTH = 4_000
"""Characters of one note: what needs more belongs into a file of the repository."""

NOTES_SHOWN = 20
"""Notes in one prompt, the newest."""

SHOWN_LENGTH = 12_000
"""Characters of all notes in one prompt."""


class Note(Record):
    """What a task or a person (`from_task` None) wants another task, or all of them (`to_task` None), to know."""

    at: datetime
    from_task: str | None = None
    to_task: str | None = None
    text: str = Field(max_length=NOTE_LENGTH)


def notes_for(task: str, notes: Iterable[Note]) -> tuple[Note, ...]:
    """The notes a task's next prompt shows, the newest first, as many as there is room for.

    Those addressed to it come before those to everybody: a crowded board must not push them out.
    """
    meant = [note for note in notes if note.to_task in (None, task)][::-1]
    meant.sort(key=lambda note: note.to_task is None)  # stable: each of the two parts stays newest first
    shown, room = [], SHOWN_LENGTH
    for note in meant[:NOTES_SHOWN]:
        room -= len(note.text)
        if room < 0:
            break
        shown.append(note)
    return tuple(shown)
