"""Masks what comes in pieces: a secret that two pieces share is found all the same."""

from __future__ import annotations

from maestro.model.redaction import Redactor, merged, replaced

HELD_BACK = 1 << 16
"""So much of the end waits for what follows. Longer than any key that is known; longer values are waited for."""

LONGEST = 1 << 22
"""A secret that has no end is cut here: what looks like one need not be one, and memory has an end."""

_CONTEXT = 64
"""Letters before a place that tell whether a word begins there."""


class MaskedStream:
    """Bytes in, masked bytes out, in constant memory. `found` says whether anything was masked so far."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._text = ""  # one letter for each byte, see Redactor.mask_bytes
        self._given = 0  # letters of it that were given out before, kept as context
        self._pieces: list[str] = []  # that came since: to put each to the text at once would copy it each time
        self._come = 0  # their letters
        self.found = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece; give what cannot be part of a secret any more."""
        self._pieces.append(data.decode("latin-1"))
        self._come += len(data)
        held = max(HELD_BACK, 2 * self._redactor.longest)
        if len(self._text) + self._come - self._given < 2 * held:  # or a small piece would have all searched again
            return b""
        self._join()
        return self._take(len(self._text) - held)

    def lines(self) -> bytes:
        """Give all whole lines, for somebody who watches and nothing more comes for now."""
        self._join()
        end = self._text.rfind("\n") + 1
        return self._take(end) if end > self._given else b""

    def end(self) -> bytes:
        """Give the rest."""
        self._join()
        return self._take(len(self._text), is_end=True)

    def _join(self) -> None:
        if self._pieces:
            self._text += "".join(self._pieces)
            self._pieces, self._come = [], 0

    def _take(self, cut: int, *, is_end: bool = False) -> bytes:
        spans = merged(self._redactor.in_bytes(self._text))
        inside = []
        for start, end in spans:
            if start >= cut or end <= self._given:
                continue
            if end == len(self._text) and not is_end and end - start < LONGEST:
                cut = min(cut, start)  # it may go on
                break
            inside.append((max(start, self._given), end))
            cut = max(cut, end)
        cut = max(cut, self._given)
        out = replaced(self._text, inside, self._given, cut)
        if inside:
            self.found = True
            out = self._again(out)
        begin = max(0, cut - _CONTEXT)
        self._text, self._given = self._text[begin:], cut - begin
        return out.encode("latin-1")

    def _again(self, text: str) -> str:
        """As `Redactor.mask` does: a secret may show its beginning only when what stood before it is gone."""
        while spans := merged(self._redactor.in_bytes(text)):
            text = replaced(text, spans)
        return text
