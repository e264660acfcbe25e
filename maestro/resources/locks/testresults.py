"""What an attempt's own tests said: kept beside the attempt, so that its task's results can be told (M-6).

tests/<n>.xml    JUnit XML, where pytest runs
tests/<n>.json   {"command", "started_at", "waited_seconds", "seconds", "exit_code"}; the last two are null meanwhile
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maestro.clock import as_z

_FOLDER = "tests"


class TestResults:
    """Of one command under the lock."""

    __test__ = False  # of pytest's

    def __init__(self, attempt: Path, argv: Sequence[str], waited_seconds: float) -> None:
        """Take the next free number. OSError where the folder cannot be written."""
        folder = attempt / _FOLDER
        folder.mkdir(exist_ok=True)
        self._number = _take_number(folder)
        self._folder = folder
        self._said: dict[str, Any] = {
            "command": shlex.join(argv),
            "started_at": as_z(datetime.now(UTC)),
            "waited_seconds": round(waited_seconds, 3),
            "seconds": None,
            "exit_code": None,
        }
        self._write()

    def variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """For the command: pytest writes its report, also below make, tox or a script."""
        junit = shlex.quote(f"--junitxml={self._folder / f'{self._number}.xml'}")
        # xunit1 is the family that tells files
        return {"PYTEST_ADDOPTS": f"{environ.get('PYTEST_ADDOPTS', '')} {junit} -o junit_family=xunit1".strip()}

    def close(self, exit_code: int, seconds: float) -> None:
        """The command has ended."""
        self._said |= {"seconds": round(seconds, 3), "exit_code": exit_code}
        self._write()

    def _write(self) -> None:
        path = self._folder / f"{self._number}.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self._said) + "\n", encoding="utf-8")
        new.replace(path)


def _take_number(folder: Path) -> int:
    number = 1
    while True:
        try:
            os.close(os.open(folder / f"{number}.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        except FileExistsError:
            number += 1
        else:
            return number
