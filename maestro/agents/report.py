"""The report an agent may leave (A-2): optional JSON, checked; a bad one is named and counts as no report."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from pydantic import ValidationError

from maestro.model.report import BadReport, Report

_LARGEST = 2**20


def read_report(path: Path) -> Report | BadReport | None:
    """The report at `path`; None where the agent left none. Never blocks and never raises, whatever is there."""
    try:
        # an agent may have left a pipe or a device there, or a link to what it cannot read itself
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        return BadReport(reason=f"the report file cannot be read: {(error.strerror or '').lower()}")
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return BadReport(reason="the report is not a regular file")
    with open(fd, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        return BadReport(reason="the report file is larger than 1 MiB")
    return parse_report(content)


def parse_report(content: bytes) -> Report | BadReport:
    """Check the content of a report file."""
    if not content.strip():
        return BadReport(reason="the report file is empty")
    try:
        data = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return BadReport(reason=f"the report is not JSON: {error}")
    if not isinstance(data, dict):
        return BadReport(reason="the report is not a JSON object")
    for several in ("notes", "discovered"):
        if isinstance(data.get(several), list):
            data[several] = tuple(data[several])
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()]
        return BadReport(reason=f"the report has wrong values: {'; '.join(problems)}")
