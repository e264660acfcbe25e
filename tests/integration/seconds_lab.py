"""For what happens only within one second of the clock: each try begins with a new one."""

from __future__ import annotations

import time
from collections.abc import Iterator

_TRIES = 60


def beginnings() -> Iterator[int]:
    """Numbers, each at the beginning of a second; on a busy machine not every second is long enough for a try."""
    for number in range(_TRIES):
        time.sleep(1.005 - time.time() % 1)
        yield number
