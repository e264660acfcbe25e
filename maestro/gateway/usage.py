"""What attempts have asked for, counted from the answers that go by.

Every API names its figures in JSON: as a last word of a stream, or growing in several events, so that the greatest of
an answer counts. Inside of a text the same words have backslashes before their quotes, and are not met.
"""

from __future__ import annotations

import re
from collections import defaultdict

from maestro.gateway.contract import Spent

_FIGURE = re.compile(
    rb'"(?:(input_tokens|prompt_tokens|promptTokenCount|cache_read_input_tokens|cache_creation_input_tokens)'
    rb'|(output_tokens|completion_tokens|candidatesTokenCount))"\s*:\s*(\d+)(?=\D)'
)
_OVERLAP = 64


class Meter:
    """Reads one answer as it goes by."""

    def __init__(self) -> None:
        self._tail = b""
        self._most: dict[bytes, int] = {}
        self._output: set[bytes] = set()

    def feed(self, chunk: bytes) -> None:
        """Look at more of it; a figure cut in two is met with the next piece."""
        data = self._tail + chunk
        for match in _FIGURE.finditer(data):
            name = match[1] or match[2]
            self._most[name] = max(self._most.get(name, 0), int(match[3]))
            if match[2]:
                self._output.add(name)
        self._tail = data[-_OVERLAP:]

    def spent(self) -> Spent:
        """One request, with the tokens it took."""
        output = sum(count for name, count in self._most.items() if name in self._output)
        return Spent(requests=1, input_tokens=sum(self._most.values()) - output, output_tokens=output)


class Tally:
    """The sums of all attempts."""

    def __init__(self) -> None:
        self._attempts: defaultdict[str, Spent] = defaultdict(Spent)

    def add(self, attempt_id: str, spent: Spent) -> None:
        """One more answer."""
        old = self._attempts[attempt_id]
        self._attempts[attempt_id] = Spent(
            requests=old.requests + spent.requests,
            input_tokens=old.input_tokens + spent.input_tokens,
            output_tokens=old.output_tokens + spent.output_tokens,
        )

    def attempts(self) -> dict[str, Spent]:
        """By attempt."""
        return dict(self._attempts)
