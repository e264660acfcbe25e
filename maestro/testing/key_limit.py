"""A provider's limit on requests per key, for the model server: a sliding window, and the headers that tell of it."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple


class Counted(NamedTuple):
    """What became of a request."""

    accepted: bool
    headers: Mapping[str, str]


class KeyLimit:
    """At most `requests` of a key in any `window_seconds`, by the time of their arrival; refused ones do not count."""

    def __init__(self, requests: int, window_seconds: float = 60.0) -> None:
        self._requests = requests
        self._window = window_seconds
        self._lock = threading.Lock()
        self._arrived: defaultdict[str, deque[float]] = defaultdict(deque)
        self.most: dict[str, int] = {}  # key → the most it had in a window
        self.refused = 0

    def count(self, key: str) -> Counted:
        """One request of the key arrives now."""
        with self._lock:
            now, arrived = time.monotonic(), self._arrived[key]
            while arrived and arrived[0] <= now - self._window:
                arrived.popleft()
            accepted = len(arrived) < self._requests
            if accepted:
                arrived.append(now)
                self.most[key] = max(self.most.get(key, 0), len(arrived))
            else:
                self.refused += 1
            wait = arrived[0] + self._window - now
            return Counted(accepted, self._headers(len(arrived), wait, accepted=accepted))

    def _headers(self, used: int, wait: float, *, accepted: bool) -> dict[str, str]:
        left = str(self._requests - used)
        moment = datetime.now(UTC) + timedelta(seconds=wait)
        headers = {
            "anthropic-ratelimit-requests-limit": str(self._requests),
            "anthropic-ratelimit-requests-remaining": left,
            "anthropic-ratelimit-requests-reset": moment.isoformat().replace("+00:00", "Z"),
            "x-ratelimit-limit-requests": str(self._requests),
            "x-ratelimit-remaining-requests": left,
            "x-ratelimit-reset-requests": f"{math.ceil(wait * 1000)}ms",
        }
        return headers if accepted else {**headers, "retry-after": str(math.ceil(wait))}
