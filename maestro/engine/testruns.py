"""What an attempt's own tests said: read when it has ended, from what `maestro lock tests` left beside it (I-7, M-6).

    tests/<n>.json   {"exit_code", "seconds", "waited_seconds", …}; null where the command, or the lock, was killed
    tests/<n>.xml    JUnit XML, where the command wrote any

All of it was written where the agent could write, so it is checked, bounded, and no evidence for landing.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from maestro.integration.results import MAX_BYTES, Report, UnreadableReport, parse_junit
from maestro.model.events import AttemptTested

log = logging.getLogger(__name__)

MOST_RUNS = 200
"""Of one attempt; older ones are left out."""

MOST_FAILING = 50
"""Names of failing tests of one run of them."""

_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_BYTES = 100_000
_LONGEST_NAME = 500
_MOST_SECONDS = 10**9  # what no test takes; sums of it are numbers still
_KILLED = 137
"""What stands for an exit code that nobody lived to write down."""


def read_test_runs(directory: Path, *, task: str, attempt_id: str, at: datetime) -> list[AttemptTested]:
    """The runs of tests of the attempt whose logs are in `directory`, in their order."""
    found = (_test_run(file, task, attempt_id, at) for file in _files(directory / "tests")[-MOST_RUNS:])
    return [one for one in found if one is not None]


def _files(folder: Path) -> list[Path]:
    try:
        found = [one for one in folder.glob("*.json") if _NUMBER.fullmatch(one.stem)]
        return sorted(found, key=lambda one: int(one.stem))
    except OSError:
        return []


def _test_run(file: Path, task: str, attempt_id: str, at: datetime) -> AttemptTested | None:
    try:
        said = json.loads(_content(file, _MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s cannot be read: %s", file, error)
        return None
    if not isinstance(said, dict):
        return None
    report, code = _report(file.with_suffix(".xml")), said.get("exit_code")
    return AttemptTested(
        at=at,
        task=task,
        attempt_id=attempt_id,
        number=int(file.stem),
        exit_code=code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= 255 else _KILLED,
        seconds=_seconds(said.get("seconds")),
        waited_seconds=_seconds(said.get("waited_seconds")),
        totals=report.totals if report else None,
        failing=tuple(name[:_LONGEST_NAME] for name in report.failing[:MOST_FAILING]) if report else (),
    )


def _report(file: Path) -> Report | None:
    try:
        return parse_junit(_content(file, MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, UnreadableReport) as error:
        log.warning("%s cannot be read: %s", file, error)
        return None


def _content(file: Path, most: int) -> bytes:
    """What is in it; OSError where an agent left something else than a file, such as a link to what it cannot read
    itself, or a pipe, which would block, or too much."""
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        if found.st_size > most:
            raise OSError(errno.EFBIG, "it is too large")
        with open(fd, "rb", closefd=False) as opened:
            return opened.read(most)
    finally:
        os.close(fd)


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(float(min(value, _MOST_SECONDS)), 3) if is_number and value >= 0 and value != math.inf else 0.0
