"""What is written beside a ticket, and whether it may be believed.

The folder of a resource can be written by agents, also from inside of a sandbox. Whoever is next in a queue ends what a
record names, so one that is no ticket's own could make it end anything of this user.
"""

from __future__ import annotations

from typing import Any

from maestro.proc.marker import MARKER

MARK = "MAESTRO_LOCK_"
"""Begins the variable by which what works under a lock is known."""


_ENDLESS = 1e12  # seconds


def checked(record: Any) -> dict[str, Any]:
    """The record as it is; empty where it has not the shape that a waiter or a holder writes, or names processes that
    cannot be under a lock."""
    return record if isinstance(record, dict) and _is_ours(record) else {}


def _is_ours(record: dict[str, Any]) -> bool:
    return (
        all(_is_text(record.get(key)) for key in ("what", "since", "mark"))
        and all(record.get(key) is None or _is_text(record[key]) for key in ("task", "run"))
        and all(record.get(key) is None or _is_whole(record[key]) for key in ("prev", "token"))
        and all(record.get(key) is None or _is_number(record[key]) for key in ("limit_seconds", "since_monotonic"))
        and _is_whole(record.get("pid"))
        and isinstance(record.get("outlives"), bool)
        and _is_family(record.get("family"))
    )


def _is_family(told: Any) -> bool:
    """Processes of an attempt or a gate, or of a command under a lock: nobody else is ever ended for a lock."""
    if not (isinstance(told, list) and len(told) == 2 and all(_is_text(one) and one for one in told)):
        return False
    variable, value = told
    return (variable == MARKER or variable.startswith(MARK)) and "=" not in variable and "\0" not in variable + value


def _is_text(value: Any) -> bool:
    """Such that the environment of a process could hold it."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _ENDLESS
