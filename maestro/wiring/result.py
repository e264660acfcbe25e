"""What is said of a run to whoever started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """How a run ended: the object of C-1a, and the exit code that goes with it."""

    result: dict[str, Any]
    exit_code: int
