"""A conflict is a value: who, where, and between which commits."""

# no `from __future__ import annotations`: see maestro.model.record

from maestro.model.record import Record


class Conflict(Record):
    """Two sides that cannot be merged by git; callers decide what to do about it."""

    paths: tuple[str, ...]
    ours: str  # commit of the integration branch
    theirs: str  # commit of the task's work
    base: str | None  # their merge base
    messages: tuple[str, ...] = ()  # git's own words, e.g. "CONFLICT (content): Merge conflict in a.py"
