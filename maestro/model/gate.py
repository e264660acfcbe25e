"""What a gate (the test command on the combined result) can answer: four shapes, only one is a pass."""

# no `from __future__ import annotations`: see maestro.model.record

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from maestro.model.record import Record

TESTS = "tests"
"""The named resource (I-7) that gates hold, and that agents run tests under."""


class TestTotals(Record):
    """Counts from JUnit XML or the runner's closing line."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    passed: int = 0
    failed: int = 0
    skipped: int = 0


class GatePassed(Record):
    """The command ran tests and all of them passed."""

    kind: Literal["passed"] = "passed"
    seconds: float
    totals: TestTotals | None = None


class GateRed(Record):
    """Tests ran and some failed."""

    kind: Literal["red"] = "red"
    seconds: float
    failing: tuple[str, ...] = ()  # test names, where they can be told
    output_tail: str = ""
    exit_code: int = 1
    totals: TestTotals | None = None


class NotJudged(StrEnum):
    """Why a gate could not judge; none of these is a pass (M-4)."""

    NO_COMMAND = "no_command"
    NONE_COLLECTED = "none_collected"
    TIMEOUT = "timeout"
    MISSING_RUNNER = "missing_runner"
    SETUP = "setup"  # the gate's own workspace could not be set up
    STOPPED = "stopped"  # the run was stopped while the gate ran


class GateUnjudged(Record):
    """The gate could not judge."""

    kind: Literal["unjudged"] = "unjudged"
    why: NotJudged
    reason: str  # a clause for people
    seconds: float = 0.0
    output_tail: str = ""


class GateSkipped(Record):
    """The user said --no-tests."""

    kind: Literal["skipped"] = "skipped"


GateResult = Annotated[GatePassed | GateRed | GateUnjudged | GateSkipped, Field(discriminator="kind")]
