"""Tells at once what the output of a running agent says of its requests (A-5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maestro.agents.base import Heard, Reader, Verdict


class Listening:
    """A Reader around another one; `tell` is called with each change of what is heard."""

    def __init__(self, reader: Reader, tell: Callable[[Heard], None]) -> None:
        self._reader = reader
        self._tell = tell
        self.heard = reader.heard
        self.ended = reader.ended

    def feed(self, chunk: bytes) -> Sequence[str]:
        """Hand the bytes on."""
        notes = self._reader.feed(chunk)
        self.ended = self._reader.ended
        if self._reader.heard is not self.heard:
            self.heard = self._reader.heard
            self._tell(self.heard)
        return notes

    def verdict(self, exit_code: int | None, stderr_tail: str) -> Verdict:
        """As the other one says."""
        return self._reader.verdict(exit_code, stderr_tail)
