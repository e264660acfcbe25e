"""A coordinator that resumes a run knows by the kernel which key an attempt has that went on without it (A-6)."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import timedelta

from maestro.clock import SystemClock
from maestro.model.events import AttemptEnded, AttemptStarting
from maestro.model.outcome import Cancelled
from maestro.proc.request import MARKER
from maestro.resources.apikeys import ApiKey
from maestro.resources.keysource import KeyForEach

KEYS = [ApiKey(value=f"sk-ant-api03-{name * 8}", origin=name) for name in "abc"]


def source() -> KeyForEach:
    return KeyForEach(KEYS, variables=["ANTHROPIC_API_KEY"], withheld=[], clock=SystemClock())


def starting(attempt_id: str) -> AttemptStarting:
    return AttemptStarting(
        at=SystemClock().now(), task="t", attempt=1, attempt_id=attempt_id, agent="claude", base="b",
        workspace="w", branch="b",
    )  # fmt: skip


def test_the_key_of_an_attempt_that_goes_on_is_known_and_rests_at_its_limit() -> None:
    alive, ended = (f"{uuid.uuid4().hex}/run/t/1" for _ in range(2))
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={MARKER: alive, "ANTHROPIC_API_KEY": KEYS[1].value},
    )
    assert child.stdout is not None
    child.stdout.readline()  # it is what its environment says from here on
    try:
        keys = source()
        over = AttemptEnded(
            at=SystemClock().now(), task="t", attempt=1, attempt_id=ended, outcome=Cancelled(), seconds=1.0
        )
        keys.restore([starting(ended), over, starting(alive)])
        given = [keys.environment(f"new-{number}")["ANTHROPIC_API_KEY"] for number in range(2)]
        assert given == [KEYS[0].value, KEYS[2].value], "the one that fewest attempts have"
        keys.ended(alive, SystemClock().now() + timedelta(minutes=5))
        given = [keys.environment(f"newer-{number}")["ANTHROPIC_API_KEY"] for number in range(2)]
        assert KEYS[1].value not in given
    finally:
        child.communicate()
