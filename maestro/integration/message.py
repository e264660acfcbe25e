"""The message of a landing commit; pure."""

from __future__ import annotations

import re

from maestro.model.record import Record

SUBJECT_LENGTH = 72
SUMMARY_LENGTH = 4000
TASK_TRAILER = "Maestro-Task"
RUN_TRAILER = "Maestro-Run"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TRAILERS = re.compile(r"(?:^|\n\n)(?:[A-Za-z0-9-]+: .*\n?)+\Z")


class Work(Record):
    """The finished work of one task, ready to land."""

    task: str
    title: str = ""
    commit: str  # full id of its last commit
    base: str  # full id of the commit it was started from
    run_id: str
    summary: str = ""


def landing_message(work: Work) -> str:
    """Subject `Land <task>: <title>` in one line of at most 72 characters, the summary, two trailers."""
    title = _one_line(work.title)
    subject = _clip(f"Land {_one_line(work.task)}" + (f": {title}" if title else ""), SUBJECT_LENGTH)
    summary = _clip(_CONTROL.sub("", work.summary.replace("\r\n", "\n")).strip(), SUMMARY_LENGTH)
    return "\n\n".join(filter(None, (subject, summary, _trailers(work)))) + "\n"


def replayed_message(original: str, work: Work) -> str:
    """A commit's own message with maestro's trailers added."""
    body = original.rstrip() or f"Work on {_one_line(work.task)}"
    glue = "\n" if "\n\n" in body and _TRAILERS.search(body) else "\n\n"
    return f"{body}{glue}{_trailers(work)}\n"


def _trailers(work: Work) -> str:
    return f"{TASK_TRAILER}: {_one_line(work.task)}\n{RUN_TRAILER}: {_one_line(work.run_id)}"


def _one_line(text: str) -> str:
    return _CONTROL.sub("", " ".join(text.split()))


def _clip(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
